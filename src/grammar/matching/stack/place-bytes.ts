/** The bytes that can follow at a place. Pure. */

import type { GrammarNode } from '../../program.ts';
import { addCharCuts, addFirstBytes } from '../bytes/char-bytes.ts';
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON_BYTE,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE_BYTE,
  SPACE_BYTE,
} from '../bytes/json-bytes.ts';
import { TEXT_CUTS } from '../bytes/text-bytes.ts';
import type { NamePlaces } from '../names/name-places.ts';
import type { ObjectFacts } from '../names/object-facts.ts';
import { type Facts, itemAt } from './facts.ts';
import type { Place } from './frames.ts';
import { AFTER, LISTED, OPEN, OTHER } from './phases.ts';
import type { Places } from './places.ts';

const OBJECT_BYTES = [OPEN_BRACE, CLOSE_BRACE, COMMA, SPACE_BYTE, COLON_BYTE, QUOTE_BYTE];

type GrammarAutomaton = Extract<GrammarNode, { kind: 'chars' }>['automaton'];

export class PlaceBytes {
  readonly #facts: Facts;
  readonly #names: NamePlaces;
  readonly #ways: Places;

  constructor(facts: Facts, names: NamePlaces, ways: Places) {
    this.#facts = facts;
    this.#names = names;
    this.#ways = ways;
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
   * Marks the bytes that a place may tell apart from the byte before: between two marks, all bytes lead to
   * the same place.
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

  /** The byte that must follow at a place; -1 if several can. */
  onlyByte(place: Place): number {
    const { node: id, phase, a, b } = place;
    const node = this.#facts.nodeAt(id);
    switch (node.kind) {
      case 'literal':
        return this.#ways.wayFrom(place).byte;
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
        if (phase !== AFTER) return this.#ways.wayFrom(place).byte;
        if (itemAt(node, a) === undefined) return CLOSE_BRACKET;
        return this.#facts.arrayRest(node, a, b) === 1 ? -1 : COMMA;
      case 'object':
        return this.#onlyOfObject(this.#facts.object(id, node), place);
      default:
        return -1;
    }
  }

  #onlyChar(node: { automaton: GrammarAutomaton }, place: Place): number {
    const edges = node.automaton.edges[place.a] ?? [];
    const isOne = edges.length === 3 && edges[0] === edges[1];
    return isOne ? this.#ways.wayFrom(place).byte : -1;
  }

  #onlyOfObject(facts: ObjectFacts, place: Place): number {
    const seen = facts.seenAt(place.a);
    switch (place.phase) {
      case AFTER:
        if (seen.closable && seen.addable) return -1;
        return seen.closable ? CLOSE_BRACE : COMMA;
      case LISTED: {
        const { byte } = this.#ways.wayFrom(place);
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
        return this.#ways.wayFrom(place).byte;
    }
  }
}
