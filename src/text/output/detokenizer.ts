/**
 * Converts ids to text while they are generated. Returns text as soon as it consists of whole characters. All
 * pieces together equal the text of one decode call for all ids; for an output that continues a text, the
 * part that decoding adds to that text. Pure: calls only the given decoder.
 */

/** The part of a tokenizer that the detokenizer uses. */
export interface Decoder {
  /** Text of consecutive ids, decoded as if the text began with them. `''` for no ids. */
  decode(ids: readonly number[]): string;
  /** False for ids that decoding leaves out: special tokens and ids without a token. */
  isVisible(id: number): boolean;
}

/** A lossy UTF-8 decoder writes this for invalid bytes and for an unfinished character. */
const REPLACEMENT = '\u{FFFD}';
/** The window is trimmed when it contains more ids than this. */
const LONGEST_WINDOW = 8;
/** A window of more ids loses those without text: an output may have as many as the context is long. */
const MOST_IDS = 64;
/**
 * Trimming keeps this many tokens with text, at least one byte each. A character has at most 4 bytes, so the
 * last character always stays whole, finished or not.
 */
const CONTEXT = 4;

/**
 * Decodes a window of the last ids together and emits the part of the text that is new. Three facts make the
 * result exact:
 *
 * - Decoding is prefix-stable except for the last character. Lossy UTF-8 decoding (WHATWG Encoding, "UTF-8
 *   decoder") writes one U+FFFD for an unfinished character at the end, whatever its bytes are. Text before
 *   it never changes. So exactly one trailing U+FFFD is held back. Text of invalid bytes is therefore emitted
 *   one token late, and so is a token whose text is really U+FFFD.
 * - The text that a token adds depends on two things: the unfinished character before it (at most 3 bytes),
 *   and the presence of text before it, because decoders strip the first space and a byte-order mark. So the
 *   last four tokens with text are enough context, and the window and the work per token stay bounded. The
 *   context may begin inside a character. The text of such a partial character counts as emitted.
 * - SentencePiece decoders with `ByteFallback` decode a run of byte tokens as a whole. The decoder in
 *   tokenizer/stages keeps the valid part of a run; the Rust library replaces the complete run. So finished
 *   characters are final before the run ends, and nothing more is held back.
 *
 * A combining mark or a joined emoji may come in a later piece than its base: a whole character is a whole
 * code point.
 */
export class Detokenizer {
  readonly #decoder: Decoder;
  /** The last visible ids: the context, then the ids whose text may not be emitted yet. */
  #window: number[];
  /** UTF-16 units of the window's text that are already emitted. */
  #emitted = 0;

  /**
   * @param continued ids of the text that the output continues, for example those of a raw prompt. Its last
   *   ids are the context of the first id: a decoder strips the first space of a text, and not one within it.
   *   Empty for an output that is a text of its own, such as the answer to a conversation.
   */
  constructor(decoder: Decoder, continued: readonly number[] = []) {
    this.#decoder = decoder;
    this.#window = lastVisible(decoder, continued);
    // The text of a prompt has whole characters only, so a U+FFFD at its end is not held back.
    this.#emitted = this.#window.length === 0 ? 0 : decoder.decode(this.#window).length;
  }

  /** Adds one id. Returns the text that it completes, or `''`. */
  push(id: number): string {
    if (!this.#decoder.isVisible(id)) return '';
    this.#window.push(id);
    return this.#advance();
  }

  /** Adds several ids. Returns the text that they complete, or `''`. Decodes all of them together. */
  pushAll(ids: readonly number[]): string {
    const visible = ids.filter((id) => this.#decoder.isVisible(id));
    if (visible.length === 0) return '';
    this.#window = [...this.#window, ...visible];
    return this.#advance();
  }

  /** The text that the last ids complete. */
  #advance(): string {
    const text = this.#decoder.decode(this.#window);
    const stable = stableLength(text);
    const piece = text.slice(this.#emitted, stable);
    this.#emitted = Math.max(this.#emitted, stable);
    if (this.#window.length > LONGEST_WINDOW) this.#trim(text.length - this.#emitted);
    return piece;
  }

  /** Ends the text. Returns the rest: U+FFFD for an unfinished character. A second call returns `''`. */
  flush(): string {
    const text = this.#window.length === 0 ? '' : this.#decoder.decode(this.#window);
    const piece = text.slice(this.#emitted);
    this.#emitted = text.length;
    return piece;
  }

  /**
   * Reduces the window to its context. All text of the context counts as emitted, except the last `held`
   * UTF-16 units: a trailing U+FFFD.
   */
  #trim(held: number): void {
    const window = this.#window;
    let start = window.length;
    for (let found = 0; found < CONTEXT && start > 0; ) {
      start -= 1;
      if (this.#hasText(window[start])) found += 1;
    }
    const last = window.slice(start);
    const context = last.length > MOST_IDS ? last.filter((id) => this.#hasText(id)) : last;
    const emitted = this.#decoder.decode(context).length - held;
    // A context without text would make the decoder strip the next token's first space: trim later.
    if (emitted <= 0 && context === last) return;
    this.#window = context;
    this.#emitted = Math.max(0, emitted);
  }

  /** True if a token adds text. Decodes it twice, because a decoder may strip one space at the start. */
  #hasText(id: number | undefined): boolean {
    return id !== undefined && this.#decoder.decode([id, id]) !== '';
  }
}

/** The last ids with a token that decoding shows, at most as many as a window has. */
function lastVisible(decoder: Decoder, ids: readonly number[]): number[] {
  const last: number[] = [];
  for (let at = ids.length - 1; at >= 0 && last.length < LONGEST_WINDOW; at -= 1) {
    const id = ids[at];
    if (id !== undefined && decoder.isVisible(id)) last.unshift(id);
  }
  return last;
}

/** Length of the part of a text that later ids cannot change. */
function stableLength(text: string): number {
  return text.endsWith(REPLACEMENT) ? text.length - 1 : text.length;
}
