/**
 * Reads JSON of a foreign file token by token, so that the reader of a format can bound and check each value
 * before it stores the value. Sees what `JSON.parse` hides: a key that occurs twice, and a number that a
 * double cannot represent. Pure.
 */

/** The text is not the expected JSON. The message continues a sentence that begins with the text's name. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
}

const [QUOTE, BACKSLASH, FIRST_PRINTABLE] = [0x22, 0x5c, 0x20];
const [ZERO, NINE] = [0x30, 0x39];
/** Characters of numbers, `true`, `false` and `null`. */
const SCALAR = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)$/;
const MAX_SCALAR = 32;
const MAX_DEPTH = 16;
/** Values of a text that the caller ignores: they are read in one turn of the event loop, in 20 ms. */
const MAX_SKIPPED = 2 ** 16;
/** Digits of the largest safe integer. */
const MAX_DIGITS = 16;

export class JsonReader {
  readonly #bytes: Buffer;
  #at = 0;
  #skipped = 0;

  /** @param bytes valid UTF-8 */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /**
   * The keys of an object, in the order of the text. The caller reads the value of each key before it asks
   * for the next key, and recognizes duplicates.
   * @param mostBytes limit of a key; see `string`
   */
  *keys(mostBytes: number): Generator<string> {
    this.#expect('{');
    if (this.#take('}')) return;
    do {
      const key = this.string(mostBytes);
      this.#expect(':');
      yield key;
    } while (this.#take(','));
    this.#expect('}');
  }

  /** Yields once for each element of an array; the caller reads the element. */
  *elements(): Generator<void> {
    this.#expect('[');
    if (this.#take(']')) return;
    do yield;
    while (this.#take(','));
    this.#expect(']');
  }

  /** @param mostBytes limit of the bytes between the quotes */
  string(mostBytes: number): string {
    const { from, to, escaped } = this.#string();
    if (to - from > mostBytes) throw this.#fault(`has a text of more than ${mostBytes} bytes`, from);
    if (!escaped) return this.#bytes.toString('utf8', from, to);
    try {
      return String(JSON.parse(this.#bytes.toString('utf8', from - 1, to + 1)));
    } catch {
      throw this.#fault('is not valid JSON', from);
    }
  }

  /** A whole number from 0 to 2^53 - 1, written with digits alone. */
  count(): number {
    this.#skipSpaces();
    const from = this.#at;
    for (let code = this.#bytes[this.#at]; isDigit(code); code = this.#bytes[this.#at]) this.#at += 1;
    const text = this.#bytes.toString('latin1', from, Math.min(this.#at, from + MAX_DIGITS + 1));
    const isWhole = /^(?:0|[1-9]\d{0,15})$/.test(text) && Number.isSafeInteger(Number(text));
    if (!isWhole) throw this.#fault('has no whole number from 0 to 2^53 - 1', from);
    return Number(text);
  }

  /** Reads a value of any type and ignores it. */
  skip(depth = 0): void {
    this.#skipSpaces();
    this.#skipped += 1;
    if (this.#skipped > MAX_SKIPPED) throw this.#fault(`has more than ${MAX_SKIPPED} values besides tensors`);
    if (depth > MAX_DEPTH) throw this.#fault(`nests deeper than ${MAX_DEPTH} levels`);
    const code = this.#bytes[this.#at];
    if (code === QUOTE) this.#string();
    else if (code === 0x7b) for (const _ of this.keys(this.#bytes.length)) this.skip(depth + 1);
    else if (code === 0x5b) for (const _ of this.elements()) this.skip(depth + 1);
    else this.#skipScalar();
  }

  /** @throws JsonFault if anything but spaces follows */
  end(): void {
    this.#skipSpaces();
    if (this.#at < this.#bytes.length) throw this.#fault('is not valid JSON');
  }

  #string(): { readonly from: number; readonly to: number; readonly escaped: boolean } {
    this.#expect('"');
    const from = this.#at;
    let escaped = false;
    for (; this.#at < this.#bytes.length; this.#at++) {
      const code = this.#bytes[this.#at] ?? 0;
      if (code === QUOTE) return { from, to: this.#at++, escaped };
      if (code < FIRST_PRINTABLE) break;
      if (code !== BACKSLASH) continue;
      escaped = true;
      this.#at += 1;
    }
    throw this.#fault('is not valid JSON');
  }

  #skipScalar(): void {
    const from = this.#at;
    const text = this.#bytes.toString('latin1', from, from + MAX_SCALAR + 1);
    const [scalar = ''] = /^[\w.+-]*/.exec(text) ?? [];
    if (scalar.length > MAX_SCALAR || !SCALAR.test(scalar)) throw this.#fault('is not valid JSON');
    this.#at += scalar.length;
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw this.#fault('is not valid JSON');
  }

  /** Steps over the character if it comes next, with the spaces before it. */
  #take(character: string): boolean {
    this.#skipSpaces();
    const isNext = this.#bytes[this.#at] === character.charCodeAt(0);
    if (isNext) this.#at += 1;
    return isNext;
  }

  #skipSpaces(): void {
    while (isSpace(this.#bytes[this.#at])) this.#at += 1;
  }

  #fault(fault: string, at = this.#at): JsonFault {
    return new JsonFault(`${fault} (byte ${Math.min(at, this.#bytes.length)})`);
  }
}

const isSpace = (code: number | undefined): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
const isDigit = (code: number | undefined): boolean => code !== undefined && code >= ZERO && code <= NINE;
