/**
 * Token timing of one job, measured in this process. Times in milliseconds.
 */
export class TokenTiming {
  readonly #acceptedAt: number;
  /** Tokens that an earlier sequence has generated. */
  readonly #before: number;
  #tokens = 0;
  #firstAt: number | undefined;
  #lastAt = 0;
  /** Times of the last token of each output. */
  readonly #lastOf: number[] = [];

  /**
   * @param acceptedAt time of the job's acceptance, on the clock of performance.now()
   * @param before tokens of the output that an earlier sequence has generated
   */
  constructor(acceptedAt: number, before = 0) {
    this.#acceptedAt = acceptedAt;
    this.#before = before;
  }

  /**
   * Counts a token that arrives now.
   * @param output index of its output in the job
   * @returns time since the token before it of the same output; undefined for the first one
   */
  tick(output = 0): number | undefined {
    const now = performance.now();
    const before = this.#lastOf[output];
    this.#lastOf[output] = now;
    this.#lastAt = now;
    this.#firstAt ??= now;
    this.#tokens += 1;
    return before === undefined ? undefined : now - before;
  }

  /** Tokens of the whole output so far. */
  get tokens(): number {
    return this.#before + this.#tokens;
  }

  /** Tokens that this job has generated. */
  get ownTokens(): number {
    return this.#tokens;
  }

  /** From acceptance to the first token; undefined before the first token. */
  get timeToFirstTokenMs(): number | undefined {
    return this.#firstAt === undefined ? undefined : this.#firstAt - this.#acceptedAt;
  }

  /** From the first token to the last. */
  get decodeMs(): number {
    return this.#firstAt === undefined ? 0 : this.#lastAt - this.#firstAt;
  }

  /** Tokens after the first ÷ time from the first to the last; 0 for one token. */
  get tokensPerSecond(): number {
    return this.decodeMs > 0 ? ((this.#tokens - 1) * 1000) / this.decodeMs : 0;
  }

  /** Time since acceptance. */
  get elapsedMs(): number {
    return performance.now() - this.#acceptedAt;
  }
}

/** Rounds milliseconds to microseconds. */
export const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;
