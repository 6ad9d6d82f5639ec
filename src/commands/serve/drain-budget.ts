/**
 * The one time limit of a drain, which all its stages share: from the request to stop to the end of the
 * process. Pure.
 */

/** The stages of a drain, in their order. `jobs` is the time for running jobs to finish. */
export type Stage = 'jobs' | 'cancel' | 'close' | 'flush' | 'exit';

/**
 * Milliseconds that the stages after the running jobs may take. `cancel`: stopped jobs write their last
 * events; longer than the wait for the engine's confirmation of a cancel. `close`: clients read these events,
 * server, engine and tokenizer close, and the last spans are exported. `flush`: the reader of standard output
 * takes the last lines. `exit`: Node.js ends the threads of the process.
 */
export const LAST_STAGES_MS = { cancel: 1500, close: 2000, flush: 400, exit: 100 } as const;
const LAST_STAGES_TOGETHER_MS = Object.values(LAST_STAGES_MS).reduce((sum, ms) => sum + ms, 0);
/** The stages after the running jobs take at most this share of the timeout, each in proportion. */
export const MAX_LAST_SHARE = 1 / 2;

export class DrainBudget {
  /** Milliseconds from the request to stop to the end of each stage. */
  readonly #ends: Readonly<Record<Stage, number>>;
  readonly #shares: Readonly<Record<Exclude<Stage, 'jobs'>, number>>;
  readonly #requestedAt: number;
  readonly #now: () => number;

  /**
   * @param timeoutMs the value of `--shutdown-timeout`, in milliseconds
   * @param requestedAt time of the request to stop, on the clock of performance.now()
   */
  constructor(timeoutMs: number, requestedAt: number, now: () => number = () => performance.now()) {
    const scale = Math.min(1, (timeoutMs * MAX_LAST_SHARE) / LAST_STAGES_TOGETHER_MS);
    const cancel = LAST_STAGES_MS.cancel * scale;
    const close = LAST_STAGES_MS.close * scale;
    const flush = LAST_STAGES_MS.flush * scale;
    const exit = LAST_STAGES_MS.exit * scale;
    this.#shares = { cancel, close, flush, exit };
    this.#ends = {
      jobs: timeoutMs - exit - flush - close - cancel,
      cancel: timeoutMs - exit - flush - close,
      close: timeoutMs - exit - flush,
      flush: timeoutMs - exit,
      exit: timeoutMs,
    };
    this.#requestedAt = requestedAt;
    this.#now = now;
  }

  /** Milliseconds from the request to stop that running jobs have to finish. */
  get jobsMs(): number {
    return this.#ends.jobs;
  }

  /** Milliseconds since the request to stop. */
  get elapsedMs(): number {
    return this.#now() - this.#requestedAt;
  }

  /**
   * Milliseconds until a stage must be over; 0 if its time has passed. The stages `cancel` and `close` get no
   * more than their share, even if the stages before them were short. The last lines get all the time that is
   * left.
   */
  leftMs(stage: Stage): number {
    const left = Math.max(0, this.#ends[stage] - this.elapsedMs);
    return stage === 'cancel' || stage === 'close' ? Math.min(left, this.#shares[stage]) : left;
  }
}
