/**
 * Ids become text while they are generated: every token gives its text as soon as that text is whole characters, and all pieces
 * together are exactly what decoding all ids at once gives. Touches nothing but the decoder it is handed.
 */

/** What the detokenizer needs of a tokenizer. */
export interface Decoder {
  /** Text of a run of ids, as if nothing stood before it; `''` for none. */
  decode(ids: readonly number[]): string;
  /** False for ids that decoding leaves out altogether: special tokens, and ids without a token. */
  isVisible(id: number): boolean;
}

/** What a lossy UTF-8 decoder writes for bytes that are no character, or none yet. */
const REPLACEMENT = '\u{FFFD}';
/** The window is cut back when it is longer than this … */
const LONGEST_WINDOW = 8;
/** … to as many tokens with text, at least one byte each. A character is at most 4 bytes: the last one, finished or not, is never cut. */
const CONTEXT = 4;

/**
 * The window: the last few ids are decoded together, and what of their text has not been given yet is given. Three facts make it exact:
 *
 * - Decoding is prefix-stable but for its last character. Lossy UTF-8 decoding (WHATWG Encoding, "UTF-8 decoder") writes one U+FFFD for
 *   an unfinished character at the end, whatever its bytes so far; anything before that never changes. So exactly one trailing U+FFFD is
 *   held back, and a run of invalid bytes is given one token late instead of never. A token that is a true U+FFFD waits for the next too.
 * - What the next token adds depends on the at most 3 bytes of an unfinished character before it, and on whether any text stands before it
 *   (decoders strip the first space, and a byte-order mark). So the last four tokens with text are context enough, and the window and the
 *   work per token stay bounded. The context may begin inside a character: what that gives in its place counts as given.
 * - SentencePiece decoders with `ByteFallback` decode a run of byte tokens as a whole, here leniently, not all-or-nothing as in the Rust
 *   library: a run's finished characters are final before the run ends, so the same rule holds and nothing more is held back.
 *
 * A combining mark or a joined emoji may follow its base in a later piece: whole characters are whole code points.
 */
export class Detokenizer {
  readonly #decoder: Decoder;
  /** The last ids that show, the context and those whose text may not have been given yet. */
  #window: number[] = [];
  /** UTF-16 units of the window's text that have been given. */
  #emitted = 0;

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
  }

  /** Takes one id; returns the text that is whole now, `''` if none. */
  push(id: number): string {
    if (!this.#decoder.isVisible(id)) return '';
    this.#window.push(id);
    const text = this.#decoder.decode(this.#window);
    const stable = stableLength(text);
    const piece = text.slice(this.#emitted, stable);
    this.#emitted = Math.max(this.#emitted, stable);
    if (this.#window.length > LONGEST_WINDOW) this.#trim();
    return piece;
  }

  /** The rest: what decoding gives for a character that was never finished (U+FFFD). A second call gives `''`. */
  flush(): string {
    const text = this.#window.length === 0 ? '' : this.#decoder.decode(this.#window);
    const piece = text.slice(this.#emitted);
    this.#emitted = text.length;
    return piece;
  }

  /** Leaves the context only. All of its text counts as given but the trailing U+FFFD that is still held. */
  #trim(): void {
    const window = this.#window;
    let start = window.length;
    for (let found = 0; found < CONTEXT && start > 0; ) {
      start -= 1;
      if (this.#hasText(window[start])) found += 1;
    }
    const context = window.slice(start);
    const emitted = stableLength(this.#decoder.decode(context));
    // Without text of its own, a context would let the decoder strip the next token's first space: cut later.
    if (emitted === 0) return;
    this.#window = context;
    this.#emitted = emitted;
  }

  /** Whether a token adds to a text. Twice, because a decoder may strip a single space from the start. */
  #hasText(id: number | undefined): boolean {
    return id !== undefined && this.#decoder.decode([id, id]) !== '';
  }
}

/** Length of the part of a text that later ids cannot change. */
function stableLength(text: string): number {
  return text.endsWith(REPLACEMENT) ? text.length - 1 : text.length;
}
