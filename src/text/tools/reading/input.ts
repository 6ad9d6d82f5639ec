/**
 * The text of one output, read by coroutines: a reader yields when it needs text that has not arrived. A
 * reader decides by characters only, never by the ends of pieces, so any division of a text gives the same
 * result. Pure.
 */

/** A reader that ends with a result and yields while it waits for text. */
export type Reading<Result> = Generator<void, Result, void>;

/**
 * UTF-16 units that a reader holds back at most: arguments before the name of their function, white space. A
 * longer text is not a call.
 */
export const MAX_HELD_UNITS = 2 ** 14;
/**
 * UTF-16 units that a reader holds back at most for one value of a call whose function is known: arguments in
 * a text of JSON, and a value between tags that is not a text.
 */
export const MAX_HELD_VALUE_UNITS = 2 ** 20;
/** UTF-16 units of the longest name of a function or an argument. */
export const MAX_NAME_UNITS = 256;

/** A text of more than `MAX_HELD_UNITS` grows by this part of its length. */
const STEPS = 64;

const SPACE = /[ \t\r\n]/;
const SPACES = /[ \t\r\n]*/y;

export class Input {
  /** Text that is not settled yet: a reader may still return it as content. */
  text = '';
  /** Added text that no reader has seen. */
  #waiting = '';
  /** The next character to read. */
  at = 0;
  /**
   * The beginning of the text of which the class is not certain, at or before `at`. Positions change when
   * text is added: a reader keeps distances from `at` or `mark` while it waits.
   */
  mark = 0;
  /** The end of the text that the prompt holds: the model has not generated it, so it is never content. */
  given = 0;
  /** No more text arrives. */
  ended = false;
  /** The model has ended the output itself: no limit has cut it. */
  complete = false;
  /** UTF-16 units that may be held back now. */
  most = MAX_HELD_UNITS;
  /** A reader wanted more text than there is: the rest of the text is the beginning of something. */
  ranOut = false;

  /**
   * Adds text and forgets the text before the mark. A long text that is held back grows in steps, so that the
   * work stays linear in the text.
   * @returns false if the text waits for more
   */
  add(text: string): boolean {
    this.#waiting += text;
    const held = this.text.length - this.mark;
    if (!this.ended && held > MAX_HELD_UNITS && this.#waiting.length * STEPS < held) return false;
    const from = Math.min(this.mark, this.at);
    this.text = this.text.slice(from) + this.#waiting;
    this.#waiting = '';
    this.at -= from;
    this.mark -= from;
    this.given -= from;
    return true;
  }

  /** UTF-16 units that are held back. */
  get held(): number {
    return this.at - this.mark;
  }

  /** The next character, without a wait; `''` if it has not arrived or the text has ended. */
  get char(): string {
    return this.text.charAt(this.at);
  }

  /** True if the next character is there: a reader need not wait. */
  get ready(): boolean {
    return this.at < this.text.length && this.at - this.mark <= this.most;
  }

  /** Waits for a character. False at the end of the text, and if too much is held back. */
  more(): Reading<boolean> {
    return this.need(1);
  }

  /** Waits for a number of characters. False if the text ends before, and if too much is held back. */
  *need(count: number): Reading<boolean> {
    if (this.held > this.most) return false;
    while (this.text.length - this.at < count) {
      if (this.ended) {
        this.ranOut = true;
        return false;
      }
      yield;
    }
    return true;
  }

  /** Reads a text. False, and nothing is read, if other text follows. */
  *literal(expected: string): Reading<boolean> {
    for (;;) {
      if (this.text.startsWith(expected, this.at)) {
        this.at += expected.length;
        return true;
      }
      const rest = this.text.length - this.at;
      if (rest >= expected.length || !expected.startsWith(this.text.slice(this.at))) return false;
      if (this.ended) {
        this.ranOut = true;
        return false;
      }
      yield;
    }
  }

  /**
   * Reads the parts of a marker, with any white space before them and between them. False, and nothing is
   * read, if other text follows.
   */
  *marker(parts: readonly string[]): Reading<boolean> {
    const { held } = this;
    for (const part of parts) {
      yield* this.space();
      if (yield* this.literal(part)) continue;
      this.at = this.mark + held;
      return false;
    }
    return true;
  }

  /** Reads white space, as much as may be held back. False at the end of the text. */
  *space(): Reading<boolean> {
    for (;;) {
      SPACES.lastIndex = this.at;
      SPACES.test(this.text);
      this.at = Math.min(SPACES.lastIndex, this.limit);
      if (this.at < this.text.length || this.at === this.limit) return true;
      if (this.ended) {
        this.ranOut = true;
        return false;
      }
      yield;
    }
  }

  /** Position of the first character that may not be held back. */
  get limit(): number {
    return this.mark + this.most + 1;
  }

  /** The text between two positions, without text that the prompt holds. */
  generated(from: number, to: number): string {
    return this.text.slice(Math.max(from, this.given), Math.max(to, this.given));
  }

  /**
   * True if a call ends here: one of some markers follows, or the model has ended the output. Reads nothing.
   */
  *callEnds(markers: readonly string[]): Reading<boolean> {
    if (!(yield* this.more())) return this.ended && this.complete && this.char === '';
    const { held } = this;
    for (const marker of markers) {
      const follows = yield* this.literal(marker);
      this.at = this.mark + held;
      if (follows) return true;
      // The output ends inside of the marker.
      if (this.ended && this.complete && marker.startsWith(this.text.slice(this.at))) return true;
    }
    return false;
  }

  /**
   * Passes on the text before the first of some stops. The stop itself is not read.
   * @param write settles the text
   * @param whole false: at the end of the output, the beginning of a stop is not passed on
   * @returns the stop, or undefined at the end of the output
   */
  *until(stops: Stops, write: (text: string) => void, whole = true): Reading<string | undefined> {
    for (;;) {
      const { position, stop } = stops.find(this.text, this.at, this.ended && whole);
      const text = this.generated(this.at, position);
      this.at = position;
      if (text !== '') write(text);
      if (stop !== undefined) return stop;
      if (this.ended) return undefined;
      yield;
    }
  }
}

/** Texts that end another text. The longest of the texts that begin at the first position counts. */
export class Stops {
  readonly #texts: readonly string[];
  readonly #first: RegExp;

  constructor(texts: readonly string[]) {
    this.#texts = [...new Set(texts)].filter((text) => text !== '').sort((a, b) => b.length - a.length);
    const first = this.#texts.map((text) => `\\u{${text.codePointAt(0)?.toString(16)}}`);
    this.#first = new RegExp(first.length > 0 ? `[${first.join('')}]` : '(?!)', 'gu');
  }

  /**
   * The position of the first stop, or of an end of the text that may become one, or the end of the text.
   * @param ended no more text arrives: an end of the text cannot become a stop
   */
  find(text: string, from: number, ended: boolean): { readonly position: number; readonly stop?: string } {
    for (let at = from; ; at += 1) {
      this.#first.lastIndex = at;
      const found = this.#first.exec(text);
      if (!found) return { position: text.length };
      at = found.index;
      for (const stop of this.#texts) {
        if (text.startsWith(stop, at)) return { position: at, stop };
        if (!ended && text.length - at < stop.length && stop.startsWith(text.slice(at))) return { position: at };
      }
    }
  }
}

export const isSpace = (char: string): boolean => SPACE.test(char);

/** The parts of a marker: it is divided at white space. */
export const partsOf = (marker: string): readonly string[] => marker.split(/\s+/).filter((part) => part !== '');
