/** How many tokens the shortest text from a state to the end has. Pure. */

import type { Automaton } from './automaton.ts';
import { NO_FRAME } from './stack/frames.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Longer texts to the end are counted as one token for each byte. */
const MAX_END_BYTES = 4_096;

export class TokensToEnd {
  readonly #automaton: Automaton;
  readonly #vocabulary: Vocabulary;
  readonly #known = new Map<number, number>();

  constructor(automaton: Automaton, vocabulary: Vocabulary) {
    this.#automaton = automaton;
    this.#vocabulary = vocabulary;
  }

  /** True if a text with at most `left` tokens leads from a state to the end. */
  isWithin(state: number, left: number): boolean {
    return left === Number.POSITIVE_INFINITY || this.#automaton.restOf(state) <= left || this.of(state) <= left;
  }

  /** Tokens of the shortest text from a state to the end, each as long as possible. */
  of(state: number): number {
    const known = this.#known.get(state);
    if (known !== undefined) return known;
    const tokens = this.#count(state);
    this.#known.set(state, tokens);
    return tokens;
  }

  #count(state: number): number {
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
