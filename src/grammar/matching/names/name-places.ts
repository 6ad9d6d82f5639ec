/**
 * Places inside of the name of a member of a group: the state of the group's automaton, the partial
 * character, and the place among the listed names, which belong to no group. A place is a number. Pure.
 */
import { bytesOfChar } from '../../spelling.ts';
import { addCharCuts, COMPLETE, NO_CHAR, readByte, shortestWay, targetOf } from '../bytes/char-bytes.ts';
import { BETWEEN, ONE_SPELLING, REFUSED, shortestWays } from '../bytes/text-bytes.ts';
import type { Facts } from '../stack/facts.ts';
import { ABSENT } from './name-trie.ts';
import type { ObjectFacts } from './object-facts.ts';

export interface NamePlace {
  readonly group: number;
  /** State of the automaton of the group; 0 for a group of all names. */
  readonly state: number;
  /** The bytes of the current character, or for a group of all names the state between them. */
  readonly partial: number;
  /** Node of the trie of the listed names; `ABSENT` if no listed name begins so. */
  readonly listed: number;
}

const QUOTE_BYTE = 0x22;
const LETTER = 0x61;
const WAYS = shortestWays(ONE_SPELLING);
/** No place. */
export const NO_PLACE = -1;

export class NamePlaces {
  readonly #facts: Facts;
  readonly #places: NamePlace[] = [];
  readonly #ids = new Map<number, Map<number, number>>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  placeAt(id: number): NamePlace {
    const place = this.#places[id];
    if (!place) throw new RangeError(`A name has no place ${id}`);
    return place;
  }

  /** The place behind the opening quote. */
  start(group: number): number {
    return this.#add({ group, state: 0, partial: 0, listed: 0 });
  }

  /** The place behind one more byte, which is not the closing quote; `NO_PLACE` if it is not allowed. */
  next(facts: ObjectFacts, id: number, byte: number): number {
    const { group, state, partial, listed } = this.placeAt(id);
    const child = listed === ABSENT ? ABSENT : facts.names.child(listed, byte);
    const names = facts.node.others[group]?.names;
    if (!names) {
      const next = ONE_SPELLING[partial * 256 + byte] ?? REFUSED;
      return next === REFUSED ? NO_PLACE : this.#add({ group, state, partial: next, listed: child });
    }
    const edges = names.edges[state] ?? [];
    const read = readByte(partial, byte, edges, 'json');
    if (read === NO_CHAR) return NO_PLACE;
    if (read < COMPLETE) return this.#add({ group, state, partial: read, listed: child });
    return this.#add({ group, state: targetOf(read - COMPLETE, edges), partial: 0, listed: child });
  }

  /** Marks the bytes that a place may tell apart from the byte before, besides those of every text. */
  addCuts(facts: ObjectFacts, id: number, cuts: Uint8Array): void {
    const { group, state, partial, listed } = this.placeAt(id);
    if (listed !== ABSENT) for (const byte of facts.names.bytesAfter(listed)) cuts.fill(1, byte, byte + 2);
    const names = facts.node.others[group]?.names;
    if (names && partial === 0) addCharCuts(names.edges[state] ?? [], cuts);
    else if (names) cuts.fill(1);
  }

  /** True if the name can end at a place. */
  canEnd(facts: ObjectFacts, id: number): boolean {
    const { group, state, partial, listed } = this.placeAt(id);
    if (partial !== 0) return false;
    if (listed !== ABSENT && facts.names.child(listed, QUOTE_BYTE) !== ABSENT) return false;
    return facts.node.others[group]?.names?.accepts[state] ?? true;
  }

  /** True if only finitely many names of the group can follow. */
  isFinite(facts: ObjectFacts, id: number): boolean {
    const { group, state } = this.placeAt(id);
    const names = facts.node.others[group]?.names;
    return names !== undefined && this.#facts.finite(names)[state] === 1;
  }

  /** The shortest way to the end of the name, with the closing quote. */
  wayFrom(facts: ObjectFacts, id: number): { readonly group: number; readonly length: number; readonly byte: number } {
    const { group, state, partial } = this.placeAt(id);
    if (this.canEnd(facts, id)) return { group, length: 1, byte: QUOTE_BYTE };
    const names = facts.node.others[group]?.names;
    if (!names) {
      const length = (WAYS.lengths[partial] ?? 0) + 1;
      // A listed name needs one more character.
      return partial === BETWEEN
        ? { group, length: 2, byte: LETTER }
        : { group, length, byte: WAYS.bytes[partial] ?? 0 };
    }
    const lengths = this.#facts.inside(names, 'json');
    const way = shortestWay(partial, names.edges[state] ?? [], lengths, 'json');
    return { group, length: (way?.length ?? 0) + 1, byte: way?.byte ?? QUOTE_BYTE };
  }

  /** The same place of another automaton. */
  adopt(place: NamePlace): number {
    return this.#add(place);
  }

  /**
   * The bytes, in characters, of the endings that a name can still have.
   * @returns undefined if they are more than `most`
   */
  endings(facts: ObjectFacts, id: number, most: number): readonly string[] | undefined {
    const { group, state, partial } = this.placeAt(id);
    const names = facts.node.others[group]?.names;
    if (!names || partial !== 0 || this.#facts.finite(names)[state] !== 1) return undefined;
    const endings: string[] = [];
    const open: (readonly [state: number, text: string])[] = [[state, '']];
    for (let next = open.pop(); next; next = open.pop()) {
      const [at, text] = next;
      if (names.accepts[at]) endings.push(text);
      for (const [code, target] of charsOf(names.edges[at] ?? [], most)) {
        const bytes = String.fromCharCode(...bytesOfChar(code, 'json'));
        open.push([target, text + bytes]);
      }
      if (endings.length + open.length > most) return undefined;
    }
    return endings;
  }

  #add(place: NamePlace): number {
    const { group, state, partial, listed } = place;
    const key = (group * 65_536 + state) * 65_536 + listed + 1;
    const ids = this.#ids.get(partial) ?? new Map<number, number>();
    const known = ids.get(key);
    if (known !== undefined) return known;
    const id = this.#places.push(place) - 1;
    this.#ids.set(partial, ids.set(key, id));
    return id;
  }
}

/** The first characters of the edges of a state with their targets, up to one more than `most`. */
function charsOf(edges: readonly number[], most: number): (readonly [code: number, target: number])[] {
  const chars: (readonly [number, number])[] = [];
  for (let at = 0; at < edges.length; at += 3)
    for (let code = edges[at] ?? 0; code <= (edges[at + 1] ?? 0) && chars.length <= most; code += 1)
      chars.push([code, edges[at + 2] ?? 0]);
  return chars;
}
