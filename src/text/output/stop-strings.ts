/**
 * Finds stop strings in a text that arrives in pieces, and withholds them. Pure.
 */

/** A stop string with its failure function (Knuth, Morris, Pratt 1977), by code points. */
interface Pattern {
  readonly stop: string;
  readonly chars: readonly string[];
  /**
   * `borders[n]`: length of the longest proper prefix of the first n characters that is also their suffix.
   */
  readonly borders: readonly number[];
  /** `units[n]`: UTF-16 units of the first n characters. */
  readonly units: readonly number[];
}

/** Result for one piece of text. */
export interface MatchResult {
  /** Text that cannot be part of a stop string, whatever follows. */
  readonly text: string;
  /** The stop string that was found. No text after it is returned. */
  readonly matched?: string;
}

/**
 * The text ends at the first position where a stop string is complete. The match that *ends* earliest wins;
 * of several matches that end together the longest wins, so that no part of the longer one is returned. The
 * division into pieces and the order of the list do not matter. Of `ab` and `abc`, `ab` wins; of `b` and
 * `ab`, `ab` wins.
 *
 * The matcher holds back only the longest end of the text that begins a stop string. The work is linear in
 * the text, times the number of stop strings. The text held back is shorter than the longest stop string.
 */
export class StopMatcher {
  readonly #patterns: readonly Pattern[];
  /** For each pattern, the number of its characters that the text so far ends with. */
  readonly #states: number[];
  /** End of the text that may still become a stop string. */
  #held = '';
  /** A high surrogate at the end of the last piece: the first half of the next piece's first character. */
  #highSurrogate = '';
  #finished = false;

  /** @param stops an empty string never matches. */
  constructor(stops: readonly string[]) {
    this.#patterns = stops.filter((stop) => stop !== '').map(compile);
    this.#states = this.#patterns.map(() => 0);
  }

  /** Adds the next piece of text. After a match every call returns `''`. */
  push(piece: string): MatchResult {
    if (this.#finished) return { text: '' };
    let text = this.#highSurrogate + piece;
    this.#highSurrogate = /[\uD800-\uDBFF]$/.test(text) ? text.slice(-1) : '';
    if (this.#highSurrogate !== '') text = text.slice(0, -1);
    const whole = this.#held + text;
    let end = this.#held.length;
    for (const char of text) {
      end += char.length;
      const found = this.#step(char);
      if (found === undefined) continue;
      this.#finished = true;
      this.#held = '';
      return { text: whole.slice(0, end - found.length), matched: found };
    }
    const safe = whole.length - this.#unitsHeld();
    this.#held = whole.slice(safe);
    return { text: whole.slice(0, safe) };
  }

  /** Ends the text and returns the text held back. */
  flush(): string {
    const rest = this.#finished ? '' : this.#held + this.#highSurrogate;
    this.#held = '';
    this.#highSurrogate = '';
    this.#finished = true;
    return rest;
  }

  /** Advances every pattern by one character. Returns the longest complete pattern, if any. */
  #step(char: string): string | undefined {
    let found: string | undefined;
    this.#patterns.forEach((pattern, index) => {
      let state = this.#states[index] ?? 0;
      while (state > 0 && pattern.chars[state] !== char) state = pattern.borders[state] ?? 0;
      if (pattern.chars[state] === char) state += 1;
      this.#states[index] = state;
      if (state === pattern.chars.length && pattern.stop.length > (found?.length ?? 0)) found = pattern.stop;
    });
    return found;
  }

  #unitsHeld(): number {
    return this.#patterns.reduce(
      (most, pattern, index) => Math.max(most, pattern.units[this.#states[index] ?? 0] ?? 0),
      0,
    );
  }
}

function compile(stop: string): Pattern {
  const chars = Array.from(stop);
  const borders = [0, 0];
  const units = [0];
  let border = 0;
  chars.forEach((char, index) => {
    units.push((units[index] ?? 0) + char.length);
    if (index === 0) return;
    while (border > 0 && chars[border] !== char) border = borders[border] ?? 0;
    if (chars[border] === char) border += 1;
    borders.push(border);
  });
  return { stop, chars, borders, units };
}
