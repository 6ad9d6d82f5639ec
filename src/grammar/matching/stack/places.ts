/**
 * The phases of the frames of each kind of node, and the way from a place to the end of its node. The parts
 * `a` and `b` of a place are:
 * - literal: a = bytes so far. chars, string: a = state of the automaton, b = partial character.
 * - text: a = characters so far, b = state between the bytes of one.
 * - sequence: a = index of the item above. repeat: a = items before the one above.
 * - array: a = items so far, b = matches so far; for ITEM a without and b with the item above.
 * - object: a = members so far (`Seen.id`), with the member from COLON on; b = node of the trie of names for
 *   LISTED, the place in a name for OTHER, the member from COLON on: a group g is -1 - g.
 * Pure.
 */
import type { GrammarNode } from '../../program.ts';
import type { Spelling } from '../../spelling.ts';
import { addCharCuts, addFirstBytes, shortestWay, type Way } from '../bytes/char-bytes.ts';
import { ANY_SPELLING, shortestWays, TEXT_CUTS } from '../bytes/text-bytes.ts';
import type { NamePlaces } from '../names/name-places.ts';
import type { ObjectFacts, Seen } from '../names/object-facts.ts';
import { arrayRest, type Facts, itemAt } from './facts.ts';
import type { Place } from './frames.ts';

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

const QUOTE_BYTE = 0x22;
const SPACE_BYTE = 0x20;
const COMMA = 0x2c;
const COLON_BYTE = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LETTER = 0x61;

const OBJECT_BYTES = [OPEN_BRACE, CLOSE_BRACE, COMMA, SPACE_BYTE, COLON_BYTE, QUOTE_BYTE];

const TEXT_WAYS = shortestWays(ANY_SPELLING);

/** A way of infinite length: no text leads from the place to the end. */
const NO_WAY: Way = { length: Number.POSITIVE_INFINITY, byte: 0 };

export class Places {
  readonly #facts: Facts;
  readonly #names: NamePlaces;

  constructor(facts: Facts, names: NamePlaces) {
    this.#facts = facts;
    this.#names = names;
  }

  /** The length of `wayFrom`. */
  lengthFrom(place: Place): number {
    const { node: id, phase, a, b } = place;
    const node = this.#facts.nodeAt(id);
    if (b !== 0) return this.wayFrom(place).length;
    if (node.kind === 'chars') return this.#facts.through(node.automaton, 'raw')[a] ?? Number.POSITIVE_INFINITY;
    if (node.kind !== 'string' || phase === OPEN) return this.wayFrom(place).length;
    return 1 + (this.#facts.inside(node.automaton, 'json')[a] ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Adds the bytes that can follow at a place: these and possibly others.
   * @returns false if they are most bytes, and none is added
   */
  addBytes({ node: id, phase, a, b }: Place, add: (byte: number) => void): boolean {
    const node = this.#facts.nodeAt(id);
    switch (node.kind) {
      case 'token':
        return true;
      case 'literal':
        add(this.#facts.literal(id, node.text)[a] ?? 0);
        return true;
      case 'chars':
        addFirstBytes(b, node.automaton.edges[a] ?? [], 'raw', add);
        return true;
      case 'string':
        add(QUOTE_BYTE);
        if (phase !== OPEN) addFirstBytes(b, node.automaton.edges[a] ?? [], 'json', add);
        return true;
      case 'text':
        if (phase !== OPEN) return false;
        add(QUOTE_BYTE);
        return true;
      case 'array':
        for (const byte of [OPEN_BRACKET, CLOSE_BRACKET, COMMA, SPACE_BYTE]) add(byte);
        return true;
      case 'object':
        if (phase === OTHER) return false;
        if (phase === LISTED) for (const byte of this.#facts.object(id, node).names.bytesAfter(b)) add(byte);
        else for (const byte of OBJECT_BYTES) add(byte);
        return true;
      default:
        return false;
    }
  }

  /**
   * Marks the bytes that a place may tell apart from the byte before: between two marks, all bytes lead to the
   * same place.
   * @param cuts `[257]`
   */
  addCuts(place: Place, cuts: Uint8Array): void {
    const { node: id, phase, a, b } = place;
    const node = this.#facts.nodeAt(id);
    const isName = node.kind === 'object' && phase === OTHER;
    if (isName || (node.kind === 'text' && phase !== OPEN)) for (const byte of TEXT_CUTS) cuts[byte] = 1;
    else if ((node.kind === 'chars' || node.kind === 'string') && b === 0)
      addCharCuts(node.automaton.edges[a] ?? [], cuts);
    else if (node.kind === 'chars' || node.kind === 'string') cuts.fill(1);
    else this.addBytes(place, (byte) => cuts.fill(1, byte, byte + 2));
    if (isName) this.#names.addCuts(this.#facts.object(id, node), b, cuts);
    if (node.kind === 'string') cuts.fill(1, QUOTE_BYTE, QUOTE_BYTE + 2);
  }

  /**
   * The shortest way from a place to the end of its node. For a frame below another one: from the end of that
   * one, and without a first byte.
   */
  wayFrom({ node: id, phase, a, b }: Place): Way {
    const facts = this.#facts;
    const node = facts.nodeAt(id);
    switch (node.kind) {
      case 'literal': {
        const bytes = facts.literal(id, node.text);
        return { length: bytes.length - a, byte: bytes[a] ?? 0 };
      }
      case 'token':
        return { length: 1, byte: 0 };
      case 'chars':
        return this.#charWay(node, a, b, 'raw');
      case 'string': {
        if (phase === OPEN) return { length: facts.lengthOf(id), byte: QUOTE_BYTE };
        if (b === 0 && node.automaton.accepts[a]) return { length: 1, byte: QUOTE_BYTE };
        const { length, byte } = this.#charWay(node, a, b, 'json');
        return { length: length + 1, byte };
      }
      case 'text':
        return textWay(node.min, phase, a, b);
      case 'sequence':
        return { length: facts.suffix(id, node.items, a + 1), byte: 0 };
      case 'repeat':
        return { length: Math.max(0, node.min - a - 1) * facts.lengthOf(node.item), byte: 0 };
      case 'array':
        return this.#arrayWay(node, { node: id, phase, a, b });
      case 'object':
        return this.#objectWay(facts.object(id, node), { node: id, phase, a, b });
      case 'choice':
      case 'nothing':
        return NO_WAY;
    }
  }

  #charWay({ automaton }: { automaton: GrammarAutomaton }, state: number, partial: number, spelling: Spelling): Way {
    const lengths = this.#facts.inside(automaton, spelling);
    return shortestWay(partial, automaton.edges[state] ?? [], lengths, spelling) ?? NO_WAY;
  }

  #arrayWay(node: Extract<GrammarNode, { kind: 'array' }>, { node: id, phase, a, b }: Place): Way {
    const facts = this.#facts;
    switch (phase) {
      case OPEN:
        return { length: facts.lengthOf(id), byte: OPEN_BRACKET };
      case FIRST:
        return { length: 1, byte: CLOSE_BRACKET };
      case ITEM:
        return { length: arrayRest(node, a + 1, b, facts), byte: 0 };
      case AFTER: {
        const length = arrayRest(node, a, b, facts);
        return { length, byte: length === 1 ? CLOSE_BRACKET : COMMA };
      }
      default:
        // The comma is written; the space is one more byte.
        return { length: arrayRest({ ...node, min: Math.max(node.min, a + 1) }, a, b, facts), byte: SPACE_BYTE };
    }
  }

  #objectWay(facts: ObjectFacts, { phase, a, b }: Place): Way {
    const seen = facts.seenAt(a);
    switch (phase) {
      case OPEN:
        return { length: 1 + firstLength(facts, seen), byte: OPEN_BRACE };
      case FIRST:
        return { length: 1, byte: CLOSE_BRACE };
      case AFTER:
        return { length: seen.rest + 1, byte: seen.closable ? CLOSE_BRACE : COMMA };
      case SPACE:
        return { length: 1 + memberRest(facts, seen), byte: SPACE_BYTE };
      case QUOTE:
        return { length: memberRest(facts, seen), byte: QUOTE_BYTE };
      case LISTED: {
        const member = facts.target(seen, b);
        const value = this.#facts.lengthOf(facts.node.members[member]?.value ?? 0);
        const length = facts.names.lengthTo(b, member) + 1 + value + facts.with(seen, member).rest + 1;
        return { length, byte: facts.names.byteTo(b, member) };
      }
      case OTHER: {
        const { group, length, byte } = this.#names.wayFrom(facts, b);
        const value = this.#facts.lengthOf(facts.node.others[group]?.value ?? 0);
        return { length: length + 1 + value + facts.withOther(seen).rest + 1, byte };
      }
      default: {
        const value = b >= 0 ? facts.node.members[b]?.value : facts.node.others[-1 - b]?.value;
        const rest = seen.rest + 1;
        if (phase === VALUE) return { length: rest, byte: 0 };
        const space = 1 + this.#facts.lengthOf(value ?? 0) + rest;
        return { length: space, byte: phase === COLON ? COLON_BYTE : SPACE_BYTE };
      }
    }
  }

  /** The byte that must follow at a place; -1 if several can. */
  onlyByte(place: Place): number {
    const { node: id, phase, a, b } = place;
    const node = this.#facts.nodeAt(id);
    switch (node.kind) {
      case 'literal':
        return this.wayFrom(place).byte;
      case 'chars':
        return this.#onlyChar(node, place);
      case 'string': {
        if (phase === OPEN) return QUOTE_BYTE;
        const ends = b === 0 && node.automaton.accepts[a] === true;
        if (!ends) return this.#onlyChar(node, place);
        return (node.automaton.edges[a] ?? []).length === 0 ? QUOTE_BYTE : -1;
      }
      case 'text':
        return phase === OPEN || (b === 0 && a === node.max) ? QUOTE_BYTE : -1;
      case 'array':
        if (phase !== AFTER) return this.wayFrom(place).byte;
        if (itemAt(node, a) === undefined) return CLOSE_BRACKET;
        return arrayRest(node, a, b, this.#facts) === 1 ? -1 : COMMA;
      case 'object':
        return this.#onlyOfObject(this.#facts.object(id, node), place);
      default:
        return -1;
    }
  }

  #onlyChar(node: { automaton: GrammarAutomaton }, place: Place): number {
    const edges = node.automaton.edges[place.a] ?? [];
    const isOne = edges.length === 3 && edges[0] === edges[1];
    return isOne ? this.wayFrom(place).byte : -1;
  }

  #onlyOfObject(facts: ObjectFacts, place: Place): number {
    const seen = facts.seenAt(place.a);
    switch (place.phase) {
      case AFTER:
        if (seen.closable && seen.addable) return -1;
        return seen.closable ? CLOSE_BRACE : COMMA;
      case LISTED: {
        const { byte } = this.wayFrom(place);
        const { names } = facts;
        const child = names.child(place.b, byte);
        const [first, last] = names.rangeOf(place.b);
        const [from, to] = names.rangeOf(child);
        const open = (low: number, high: number): number => (seen.open[high] ?? 0) - (seen.open[low] ?? 0);
        return open(first, last) === open(from, to) ? byte : -1;
      }
      case OTHER:
        return -1;
      default:
        return this.wayFrom(place).byte;
    }
  }
}

type GrammarAutomaton = Extract<GrammarNode, { kind: 'chars' }>['automaton'];

function textWay(min: number, phase: number, chars: number, state: number): Way {
  if (phase === OPEN) return { length: min + 2, byte: QUOTE_BYTE };
  const more = Math.max(0, min - chars - (state === 0 ? 0 : 1));
  const length = (TEXT_WAYS.lengths[state] ?? 0) + more + 1;
  if (state !== 0) return { length, byte: TEXT_WAYS.bytes[state] ?? 0 };
  return { length, byte: more === 0 ? QUOTE_BYTE : LETTER };
}

/** Bytes behind the opening brace. */
const firstLength = (facts: ObjectFacts, seen: Seen): number => (seen.closable ? 1 : memberRest(facts, seen));

/** Bytes from the quote of the next name to the end: that of a member that must follow, if there is one. */
function memberRest(facts: ObjectFacts, seen: Seen): number {
  if (seen.rest > 0) return seen.rest;
  const member = facts.target(seen, 0);
  const listed = member < 0 ? Number.POSITIVE_INFINITY : facts.lengthOf(member) + facts.with(seen, member).rest;
  const group = Math.min(Number.POSITIVE_INFINITY, ...facts.groups.map((one) => facts.groupLength(one)));
  const other = seen.groups ? group + facts.withOther(seen).rest : Number.POSITIVE_INFINITY;
  return Math.min(listed, other) + 1;
}
