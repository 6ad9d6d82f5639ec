/**
 * Converts the tokens of one request to pieces of text: whole characters, up to a stop string. The job layer
 * sends each piece as a `token` event. Pure: calls only the given tokenizer.
 */
import type { TokenReport } from '../../protocol/messages.ts';
import { type Decoder, Detokenizer } from './detokenizer.ts';
import { type MatchResult, StopMatcher } from './stop-strings.ts';

/** A piece of text and the tokens that it reports. Each token is reported at most once. */
export interface Piece {
  /** Never empty; always whole characters. */
  readonly text: string;
  /**
   * In order, at least one. Empty only in a last piece whose held-back text belongs to a token that is
   * already reported.
   */
  readonly tokens: readonly TokenReport[];
}

/**
 * Maximum tokens that wait for a text. A stop string holds back at most 100 characters, which are 400 tokens
 * of one byte; only tokens without text exceed the limit, and then the oldest reports are dropped. The event
 * of 2 048 tokens with 20 alternatives each took 42 ms of the event loop.
 */
export const MAX_PENDING_TOKENS = 512;

interface PendingToken {
  readonly token: TokenReport;
  /** Length of the complete text before this token, in UTF-16 units. */
  readonly from: number;
}

export class OutputText {
  readonly #detokenizer: Detokenizer;
  readonly #matcher: StopMatcher;
  /** Tokens of which no text is emitted yet, in order. */
  #pending: PendingToken[] = [];
  /** UTF-16 units that the detokenizer passed to the matcher. */
  #decoded = 0;
  /** UTF-16 units that were emitted in pieces. */
  #emitted = 0;
  #stopped: string | undefined;

  /**
   * @param stops strings that end the text. A piece never contains a stop string or text after it. A match
   *   begins in the output, never in the text that the output continues.
   * @param continued ids of the text that the output continues; empty for an output that is a text of its own
   */
  constructor(tokenizer: Decoder, stops: readonly string[], continued: readonly number[] = []) {
    this.#detokenizer = new Detokenizer(tokenizer, continued);
    this.#matcher = new StopMatcher(stops);
  }

  /** The stop string that was matched. After a match `push` and `flush` return undefined. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  /** Tokens that no piece has reported yet; none after a match, whose text is no part of the output. */
  get waiting(): readonly TokenReport[] {
    return this.#stopped === undefined ? this.#pending.map(({ token }) => token) : [];
  }

  /**
   * Adds the next token. Returns undefined if the token completes no text: half a character, a special token,
   * or the possible beginning of a stop string. A later piece then reports the token, unless 512 newer tokens
   * wait too. A token whose text is completely inside the matched stop string is never reported.
   */
  push(token: TokenReport): Piece | undefined {
    if (this.#stopped !== undefined) return undefined;
    this.#pending.push({ token, from: this.#decoded });
    if (this.#pending.length > MAX_PENDING_TOKENS) this.#pending.shift();
    return this.#piece(this.#match(this.#detokenizer.push(token.id)));
  }

  /**
   * Ends the text. Returns the last piece if text was held back. Tokens without text after the last piece are
   * never reported.
   */
  flush(): Piece | undefined {
    if (this.#stopped !== undefined) return undefined;
    const { text } = this.#match(this.#detokenizer.flush());
    return this.#piece({ text: text + this.#matcher.flush() });
  }

  #match(text: string): MatchResult {
    this.#decoded += text.length;
    const result = this.#matcher.push(text);
    this.#stopped = result.matched;
    return result;
  }

  /**
   * The piece reports every pending token whose text begins in it. If there is none, it reports the next
   * token, which completed this text.
   */
  #piece({ text }: MatchResult): Piece | undefined {
    if (text === '') return undefined;
    this.#emitted += text.length;
    const firstLater = this.#pending.findIndex(({ from }) => from >= this.#emitted);
    const count = firstLater === -1 ? this.#pending.length : Math.max(firstLater, 1);
    return { text, tokens: this.#pending.splice(0, count).map(({ token }) => token) };
  }
}
