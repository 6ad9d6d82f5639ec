/**
 * The tokens that a state of an automaton allows. A mask is computed by one walk through the trie of the
 * vocabulary, and remembered. Inside of a free string, only the tokens that can leave it are walked. Pure.
 */

import { type Automaton, DEAD } from './automaton.ts';
import type { ByteTrie } from './byte-trie.ts';
import { Found, type Mask } from './found-mask.ts';
import { NO_FRAME } from './stack/frames.ts';
import type { Vocabulary } from './vocabulary.ts';

/** A mask with facts that do not depend on the text before. */
export interface StateMask {
  readonly mask: Mask;
  /** Number of ids. */
  readonly count: number;
  /** Bytes from the farthest of the next states to the end of the text. */
  readonly farthest: number;
  /** Ids that end a name of a group: the names before decide whether they are allowed. */
  readonly ends: readonly number[];
}

/** Bytes of all remembered masks of a grammar. The oldest masks are dropped first. */
export const MAX_MASK_BYTES = 2 ** 23;
/** Longer texts to the end are counted as one token for each byte. */
const MAX_END_BYTES = 4_096;
/** A partial character has up to this many bytes to come. */
const CHAR_REST = 12;

export class Masks {
  readonly #automaton: Automaton;
  readonly #vocabulary: Vocabulary;
  readonly #known = new Map<number, StateMask>();
  readonly #tokensToEnd = new Map<number, number>();
  #bytes = 0;
  readonly #scratch: Uint32Array;
  /** States along the current path of a walk, and whether a name of a group has ended on it. */
  readonly #path: Int32Array;
  readonly #pathEnds: Uint8Array;

  constructor(automaton: Automaton, vocabulary: Vocabulary) {
    this.#automaton = automaton;
    this.#vocabulary = vocabulary;
    this.#scratch = new Uint32Array(vocabulary.words);
    this.#path = new Int32Array(vocabulary.data.trie.height + 1);
    this.#pathEnds = new Uint8Array(vocabulary.data.trie.height + 1);
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All tokens of a state. */
  of(state: number): StateMask {
    const known = this.#known.get(state);
    if (known) return known;
    const mask = this.#compute(state, Number.POSITIVE_INFINITY);
    this.#remember(state, mask);
    return mask;
  }

  /** The tokens after which at most `left` tokens lead to the end of the text; none if there is no way. */
  closing(state: number, left: number): StateMask {
    return this.#compute(state, left);
  }

  #remember(state: number, mask: StateMask): void {
    this.#known.set(state, mask);
    this.#bytes += sizeOf(mask);
    for (const [oldest, old] of this.#known) {
      if (this.#bytes <= MAX_MASK_BYTES) return;
      this.#known.delete(oldest);
      this.#bytes -= sizeOf(old);
    }
  }

  #compute(state: number, left: number): StateMask {
    const automaton = this.#automaton;
    const found = new Found(this.#scratch, left);
    const text = this.#addText(state, found);
    this.#walk(text ? this.#vocabulary.data.special : this.#vocabulary.data.trie, state, found);
    for (const id of automaton.tokensOf(state)) this.#addToken(found, id, automaton.nextToken(state, id));
    const { count, farthest, ends, longest, longestId } = found;
    const mask = found.take();
    if (count > 1 && longestId >= 0 && this.#isForced(state, longest))
      return { mask: { ids: Int32Array.of(this.#lowest(longestId)) }, count: 1, farthest, ends };
    return { mask, count, farthest, ends };
  }

  /** Adds the tokens that stay in a free string. @returns false if the whole vocabulary must be walked */
  #addText(state: number, found: Found): boolean {
    const automaton = this.#automaton;
    const { chars, only } = automaton.textFacts(state);
    if (chars < 0 || (!only && chars !== Number.POSITIVE_INFINITY)) return false;
    if (chars === 0) return true;
    let farthest = 0;
    for (const frame of automaton.framesOf(state)) farthest = Math.max(farthest, automaton.frames.totals[frame] ?? 0);
    // Near the end of the budget, the string has to end: no token that stays in it is needed.
    if (farthest + CHAR_REST > found.left) return only;
    found.farthest = farthest + CHAR_REST;
    found.addPlain(this.#vocabulary, chars);
    return true;
  }

  #walk(trie: ByteTrie, state: number, found: Found): void {
    const { roots, skips } = trie;
    this.#path[0] = state;
    for (let byte = 0; byte < 256; byte += 1) {
      const root = roots[byte] ?? -1;
      if (root >= 0 && this.#automaton.next(state, byte) !== DEAD) this.#walkFrom(trie, root, skips[root] ?? 0, found);
    }
  }

  /** Walks the nodes of a subtree: those from `start` on before `end`. */
  #walkFrom({ bytes, depths, skips, ids }: ByteTrie, start: number, end: number, found: Found): void {
    const automaton = this.#automaton;
    const path = this.#path;
    const pathEnds = this.#pathEnds;
    let { table, flags } = automaton;
    for (let at = start; at < end; ) {
      const depth = depths[at] ?? 0;
      const byte = bytes[at] ?? 0;
      const from = path[depth] ?? DEAD;
      let next = table[from * 256 + byte] ?? DEAD;
      if (next < 0) {
        next = automaton.next(from, byte);
        ({ table, flags } = automaton);
      }
      if (next === DEAD) {
        at = skips[at] ?? end;
        continue;
      }
      path[depth + 1] = next;
      const ends = (flags[next] ?? 0) | (pathEnds[depth] ?? 0);
      pathEnds[depth + 1] = ends;
      const id = ids[at] ?? -1;
      if (id >= 0 && this.#reaches(next, found.left)) {
        if (depth >= found.longest) {
          found.longest = depth + 1;
          found.longestId = id;
        }
        this.#addTexts(found, id, next, ends !== 0);
      }
      at += 1;
    }
  }

  /** Adds a token and the tokens of the same text. */
  #addTexts(found: Found, id: number, next: number, ends: boolean): void {
    for (let one = id; one >= 0; one = this.#vocabulary.data.same[one] ?? -1) {
      found.add(one);
      if (ends) found.ends.push(one);
    }
    found.farthest = Math.max(found.farthest, this.#automaton.restOf(next));
  }

  #addToken(found: Found, id: number, next: number): void {
    if (!this.#reaches(next, found.left)) return;
    found.add(id);
    found.farthest = Math.max(found.farthest, this.#automaton.restOf(next));
  }

  /** The lowest id with the text of this one. */
  #lowest(id: number): number {
    let lowest = id;
    for (let one = id; one >= 0; one = this.#vocabulary.data.same[one] ?? -1) lowest = one;
    return lowest;
  }

  /** True if this many bytes follow a state without an alternative. */
  #isForced(state: number, bytes: number): boolean {
    let at = state;
    for (let count = 0; count < bytes; count += 1) {
      const byte = this.#automaton.onlyByte(at);
      if (byte < 0) return false;
      at = this.#automaton.next(at, byte);
    }
    return true;
  }

  /** True if a text with at most `left` tokens leads from a state to the end. */
  #reaches(state: number, left: number): boolean {
    return (
      left === Number.POSITIVE_INFINITY || this.#automaton.restOf(state) <= left || this.tokensToEnd(state) <= left
    );
  }

  /** Tokens of the shortest text from a state to the end, each as long as possible. */
  tokensToEnd(state: number): number {
    const known = this.#tokensToEnd.get(state);
    if (known !== undefined) return known;
    const tokens = this.#countToEnd(state);
    this.#tokensToEnd.set(state, tokens);
    return tokens;
  }

  #countToEnd(state: number): number {
    const automaton = this.#automaton;
    if (automaton.restOf(state) > MAX_END_BYTES) return automaton.restOf(state);
    let tokens = 0;
    let text: number[] = [];
    for (let at = state; !automaton.accepts(at); ) {
      const frame = automaton.nearestFrame(at);
      if (frame === NO_FRAME) return Number.POSITIVE_INFINITY;
      const place = automaton.frames.placeOf(frame);
      const node = automaton.facts.nodeAt(place.node);
      if (node.kind === 'token') {
        tokens += 1 + this.#countTokens(text);
        text = [];
        at = automaton.nextToken(at, node.id);
      } else {
        const { byte } = automaton.places.wayFrom(place);
        text.push(byte);
        at = automaton.next(at, byte);
      }
      if (text.length > MAX_END_BYTES) return Number.POSITIVE_INFINITY;
    }
    return tokens + this.#countTokens(text);
  }

  #countTokens(text: readonly number[]): number {
    const bytes = Uint8Array.from(text);
    let tokens = 0;
    for (let at = 0; at < bytes.length; tokens += 1) {
      const id = this.#vocabulary.longestIn(bytes.subarray(at));
      if (id < 0) return Number.POSITIVE_INFINITY;
      at += this.#vocabulary.bytesOf(id).length;
    }
    return tokens;
  }
}

const sizeOf = ({ mask, ends }: StateMask): number =>
  200 + ('ids' in mask ? mask.ids.byteLength : mask.bits.byteLength) + 8 * ends.length;
