/**
 * The phases of the frames of each kind of node. The parts `a` and `b` of a place are:
 * - literal: a = bytes so far. chars, string: a = state of the automaton, b = partial character.
 * - text: a = characters so far, b = state between the bytes of one.
 * - sequence: a = index of the item above. repeat: a = items before the one above.
 * - array: a = items so far, b = matches so far; for ITEM a without and b with the item above.
 * - object: a = members so far (`Seen.id`), with the member from COLON on; b = node of the trie of names for
 *   LISTED, the place in a name for OTHER, the member from COLON on: a group g is -1 - g.
 * Pure.
 */
/** Before the first byte of a string, an array or an object. The only phase of the other kinds. */
export const OPEN = 0;
/** Between the quotes of a string. */
export const INSIDE = 1;
/** Behind the opening bracket: only the closing one is read here. */
export const FIRST = 1;
/** Behind an item or a member. */
export const AFTER = 2;
/** Behind a comma: only a space is read here. */
export const SPACE = 3;
/** The frame of an array below its item. */
export const ITEM = 4;
/** Before the quote of a name. */
export const QUOTE = 5;
/** In a name that is listed. */
export const LISTED = 6;
/** In a name of a group. */
export const OTHER = 7;
/** Behind a name. */
export const COLON = 8;
/** Behind a colon: only a space is read here. */
export const VALUE_SPACE = 9;
/** The frame of an object below the value of a member. */
export const VALUE = 10;
