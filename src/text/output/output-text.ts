/**
 * One request's tokens become the pieces of text its reader sees: whole characters, cut at a stop string. Touches nothing but the
 * tokenizer it is handed; the HTTP layer turns each piece into `token` events.
 */
import type { TokenReport } from '../../protocol/messages.ts';
import { type Decoder, Detokenizer } from './detokenizer.ts';
import { type MatchResult, StopMatcher } from './stop-strings.ts';

/** A piece of text and the tokens that ride in it. Every token rides at most once. */
export interface Piece {
  /** Never empty, always whole characters. */
  readonly text: string;
  /** At least one, in order; none only in a last piece whose text was held back of a token that has ridden already. */
  readonly tokens: readonly TokenReport[];
}

interface PendingToken {
  readonly token: TokenReport;
  /** UTF-16 units of the whole text that stood before this token's own. */
  readonly from: number;
}

export class OutputText {
  readonly #detokenizer: Detokenizer;
  readonly #matcher: StopMatcher;
  /** Tokens none of whose text has been given, in order. */
  #pending: PendingToken[] = [];
  /** UTF-16 units that the detokenizer has given to the matcher. */
  #decoded = 0;
  /** UTF-16 units that were given to the reader. */
  #emitted = 0;
  #stopped: string | undefined;

  /** @param stops strings that end the text; none of them, and nothing after, is ever in a piece. */
  constructor(tokenizer: Decoder, stops: readonly string[]) {
    this.#detokenizer = new Detokenizer(tokenizer);
    this.#matcher = new StopMatcher(stops);
  }

  /** The stop string that was found; from then on `push` and `flush` give nothing. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  /**
   * Takes the next token. Undefined: it has no text of its own to give yet (half a character, a special token, perhaps the beginning of a
   * stop string) and rides in a later piece. A token whose text belongs to a found stop string altogether rides in none.
   */
  push(token: TokenReport): Piece | undefined {
    if (this.#stopped !== undefined) return undefined;
    this.#pending.push({ token, from: this.#decoded });
    return this.#piece(this.#match(this.#detokenizer.push(token.id)));
  }

  /** The sequence has ended: the last piece, if text was held back. Tokens without any text after the last piece ride in none. */
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

  /** Takes along every waiting token whose text begins in what is given now, or else the next one, which set this text free. */
  #piece({ text }: MatchResult): Piece | undefined {
    if (text === '') return undefined;
    this.#emitted += text.length;
    const firstLater = this.#pending.findIndex(({ from }) => from >= this.#emitted);
    const count = firstLater === -1 ? this.#pending.length : Math.max(firstLater, 1);
    return { text, tokens: this.#pending.splice(0, count).map(({ token }) => token) };
  }
}
