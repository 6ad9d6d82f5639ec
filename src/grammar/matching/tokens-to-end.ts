/** The number of tokens from a state of an automaton to the end of the text. Pure. */
import type { Automaton } from './automaton.ts';
import type { Found } from './found-mask.ts';
import { NO_FRAME } from './stack/frames.ts';
import type { Vocabulary } from './vocabulary.ts';

/** A longer text to the end is counted as one token for each byte. */
const MAX_END_BYTES = 4_096;

export class TokensToEnd {
  readonly #automaton: Automaton;
  readonly #vocabulary: Vocabulary;
  readonly #known = new Map<number, number>();
  /** The next bytes on a way, up to the length of the longest token. */
  readonly #bytes: Uint8Array;

  constructor(automaton: Automaton, vocabulary: Vocabulary) {
    this.#automaton = automaton;
    this.#vocabulary = vocabulary;
    this.#bytes = new Uint8Array(vocabulary.data.trie.height);
  }

  /**
   * Tokens of the shortest text from a state to the end, each as long as possible; Infinity if the vocabulary
   * cannot spell that text. The states between these tokens are remembered too: a state whose way leads to a
   * known one takes the time of a few tokens.
   */
  from(state: number): number {
    const way: number[] = [];
    let at = state;
    let tokens = this.#knownFrom(at);
    while (tokens === undefined) {
      way.push(at);
      const next = way.length <= MAX_END_BYTES ? this.#afterToken(at) : undefined;
      if (next === undefined) tokens = Number.POSITIVE_INFINITY;
      else {
        at = next;
        tokens = this.#knownFrom(at);
      }
    }
    for (let index = way.length - 1; index >= 0; index -= 1) {
      tokens += 1;
      this.#known.set(way[index] ?? 0, tokens);
    }
    return tokens;
  }

  /** Tokens from a state to the end: one for each byte if they are at most `enough`, otherwise the least. */
  estimate(state: number, enough: number): number {
    const bytes = this.#automaton.restOf(state);
    return bytes <= enough ? bytes : Math.min(bytes, this.from(state));
  }

  /** True if the text can be completed from a state with the tokens that are left. */
  isNear(state: number, found: Found): boolean {
    return found.left === Number.POSITIVE_INFINITY || found.isNear(this.estimate(state, found.left));
  }

  #knownFrom(state: number): number | undefined {
    const automaton = this.#automaton;
    if (automaton.accepts(state)) return 0;
    const rest = automaton.restOf(state);
    return rest > MAX_END_BYTES ? rest : this.#known.get(state);
  }

  /** The state after the next token of the shortest text; undefined if there is no such token. */
  #afterToken(state: number): number | undefined {
    const automaton = this.#automaton;
    const bytes = this.#bytes;
    const states: number[] = [];
    for (let at = state; states.length < bytes.length && !automaton.accepts(at); ) {
      const frame = automaton.nearestFrame(at);
      if (frame === NO_FRAME) return undefined;
      const place = automaton.frames.placeOf(frame);
      const node = automaton.facts.nodeAt(place.node);
      if (node.kind === 'token' && states.length === 0) return automaton.nextToken(at, node.id);
      if (node.kind === 'token') break;
      const { byte } = automaton.places.wayFrom(place);
      at = automaton.next(at, byte);
      bytes[states.length] = byte;
      states.push(at);
    }
    const id = this.#vocabulary.longestIn(bytes.subarray(0, states.length));
    return id < 0 ? undefined : states[this.#vocabulary.bytesOf(id).length - 1];
  }
}
