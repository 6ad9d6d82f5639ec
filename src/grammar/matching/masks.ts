/**
 * The tokens that a state of an automaton allows. A mask is computed by one walk through the trie of the
 * vocabulary, and remembered. Inside of a free string, only the tokens that can leave it are walked. Pure.
 */

import type { Automaton } from './automaton.ts';
import { Found, type Mask } from './found-mask.ts';
import type { TextFacts } from './state-facts.ts';
import { TokenWalk } from './token-walk.ts';
import { TokensToEnd } from './tokens-to-end.ts';
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
const MAX_MASK_BYTES = 2 ** 23;
/** A partial character has up to this many bytes to come. */
const CHAR_REST = 12;

export class Masks {
  readonly #automaton: Automaton;
  readonly #vocabulary: Vocabulary;
  readonly #known = new Map<number, StateMask>();
  readonly #toEnd: TokensToEnd;
  readonly #walk: TokenWalk;
  #bytes = 0;
  readonly #scratch: Uint32Array;

  constructor(automaton: Automaton, vocabulary: Vocabulary) {
    this.#automaton = automaton;
    this.#vocabulary = vocabulary;
    this.#scratch = new Uint32Array(vocabulary.words);
    this.#toEnd = new TokensToEnd(automaton, vocabulary);
    this.#walk = new TokenWalk(automaton, this.#toEnd);
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
    this.#addTexts(state, found);
    for (const id of automaton.tokensOf(state)) this.#addToken(found, id, automaton.nextToken(state, id));
    const { count, farthest, ends, longest, longestId } = found;
    const mask = found.take();
    if (count > 1 && longestId >= 0 && this.#isForced(state, longest))
      return { mask: { ids: Int32Array.of(longestId) }, count: 1, farthest, ends };
    return { mask, count, farthest, ends };
  }

  /** Adds the tokens with a text. */
  #addTexts(state: number, found: Found): void {
    const { trie, special, escaped, endings, same } = this.#vocabulary.data;
    const facts = this.#automaton.textFacts(state);
    if (!this.#addPlain(facts, state, found)) {
      this.#walk.add(found, { trie, same }, state);
    } else if (facts.closable && facts.chars > 0) {
      this.#walk.add(found, { trie: escaped, same }, state);
      this.#walk.add(found, endings, state, facts.chars);
    } else this.#walk.add(found, { trie: special, same }, state);
  }

  /** Adds the tokens that stay in a free string. @returns false if the whole vocabulary must be walked */
  #addPlain({ chars, only }: TextFacts, state: number, found: Found): boolean {
    const automaton = this.#automaton;
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

  #addToken(found: Found, id: number, next: number): void {
    if (!this.#toEnd.isWithin(next, found.left)) return;
    found.add(id);
    found.farthest = Math.max(found.farthest, this.#automaton.restOf(next));
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
}

const sizeOf = ({ mask, ends }: StateMask): number =>
  200 + ('ids' in mask ? mask.ids.byteLength : mask.bits.byteLength) + 8 * ends.length;
