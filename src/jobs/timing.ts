/**
 * How fast the tokens of one job came, as this process saw them. Times in milliseconds.
 */
export class TokenTiming {
  readonly #acceptedAt: number;
  #tokens = 0;
  #firstAt: number | undefined;
  #lastAt = 0;

  /** @param acceptedAt when the job was accepted, on performance.now()'s clock */
  constructor(acceptedAt: number) {
    this.#acceptedAt = acceptedAt;
  }

  /** A token has arrived. */
  tick(): void {
    this.#lastAt = performance.now();
    this.#firstAt ??= this.#lastAt;
    this.#tokens += 1;
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** From acceptance to the first token; undefined before it. */
  get timeToFirstTokenMs(): number | undefined {
    return this.#firstAt === undefined ? undefined : this.#firstAt - this.#acceptedAt;
  }

  /** From the first token to the last. */
  get decodeMs(): number {
    return this.#firstAt === undefined ? 0 : this.#lastAt - this.#firstAt;
  }

  /** Tokens after the first ÷ the time they took; 0 while there is only one. */
  get tokensPerSecond(): number {
    return this.decodeMs > 0 ? ((this.#tokens - 1) * 1000) / this.decodeMs : 0;
  }

  /** Since acceptance. */
  get elapsedMs(): number {
    return performance.now() - this.#acceptedAt;
  }
}

/** Microseconds are the finest figure worth telling. */
export const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;
