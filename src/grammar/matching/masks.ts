/**
 * The tokens that a state of an automaton allows. A mask is computed by one walk through the trie of the
 * vocabulary, and remembered. Inside of a free string, only the tokens that can leave it are walked. Pure.
 */

import type { Automaton } from './automaton.ts';
import { Found, type Mask } from './found-mask.ts';
import { NO_FRAME } from './stack/frames.ts';
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
  /** The mask of `closing` is the same for every `left` from `least` on, and below `beyond`. */
  readonly least: number;
  readonly beyond: number;
}

/** Bytes of all remembered masks of a grammar. The oldest masks are dropped first. */
export const MAX_MASK_BYTES = 2 ** 23;
/** A partial character has up to this many bytes to come. */
const CHAR_REST = 12;

export class Masks {
  readonly #automaton: Automaton;
  readonly #vocabulary: Vocabulary;
  /** By state; the last mask of `closing` by the negative state. */
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
    const known = this.#known.get(-state);
    if (known && known.least <= left && left < known.beyond) return known;
    const mask = this.#compute(state, left);
    this.#remember(-state, mask);
    return mask;
  }

  /** True if a text with at most this many tokens leads from a state to the end. */
  canEnd(state: number, tokens: number): boolean {
    return this.#toEnd.estimate(state, tokens) <= tokens;
  }

  /** @param state as in `#known` */
  #remember(state: number, mask: StateMask): void {
    const before = this.#known.get(state);
    if (before) this.#bytes -= sizeOf(before);
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
    const { count, farthest, ends, least, beyond, longest, longestId } = found;
    const mask = found.take();
    if (count > 1 && longestId >= 0 && this.#isForced(state, longest))
      return { mask: { ids: Int32Array.of(longestId) }, count: 1, farthest, ends, least, beyond };
    return { mask, count, farthest, ends, least, beyond };
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
    let canEnd = true;
    for (const frame of automaton.framesOf(state)) {
      farthest = Math.max(farthest, automaton.frames.totals[frame] ?? 0);
      canEnd &&= automaton.places.lengthFrom(automaton.frames.placeOf(frame)) === 1;
    }
    const rest = farthest <= found.left ? farthest : Math.min(farthest, this.#restOfText(state, found.left));
    // Near the limit, a string that can end has to: no token that stays in it is needed.
    if (!found.isNear(rest + CHAR_REST)) return only && canEnd;
    found.farthest = farthest + CHAR_REST;
    found.addPlain(this.#vocabulary, chars);
    return true;
  }

  /**
   * Tokens from a free string to the end of the text: one for each byte up to the end of the string. Infinity
   * if other readings of the text are possible, or if the string alone takes more than `left` bytes.
   */
  #restOfText(state: number, left: number): number {
    const automaton = this.#automaton;
    const [frame = NO_FRAME, ...others] = automaton.framesOf(state);
    const place = automaton.frames.placeOf(frame);
    if (others.length > 0 || automaton.facts.nodeAt(place.node).kind !== 'text') return Number.POSITIVE_INFINITY;
    const bytes = automaton.places.lengthFrom(place);
    if (bytes > left) return Number.POSITIVE_INFINITY;
    let at = state;
    for (let count = 0; count < bytes; count += 1) {
      const [next = NO_FRAME] = automaton.framesOf(at);
      at = automaton.next(at, automaton.places.wayFrom(automaton.frames.placeOf(next)).byte);
    }
    return bytes + this.#toEnd.from(at);
  }

  #addToken(found: Found, id: number, next: number): void {
    if (!this.#toEnd.isNear(next, found)) return;
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
