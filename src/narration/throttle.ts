/**
 * Bounds how often a repeated event is narrated, without losing its count. Knows neither the event nor its
 * facts: the owner narrates in the callback.
 */

/** Default time between two reports of one count, in milliseconds. */
export const REPORT_WINDOW_MS = 10_000;

/**
 * Counts occurrences and reports their number at most once per window. The first occurrence is reported at
 * once; the sum of all later ones follows when the window ends, or at `flush`. No occurrence is lost: the sum
 * of all reports equals the sum of all `add`s.
 */
export class ThrottledCount {
  readonly #report: (count: number) => void;
  readonly #windowMs: number;
  #pending = 0;
  /** Present while a window is open, in which nothing is reported. Does not keep the process alive. */
  #window: NodeJS.Timeout | undefined;

  /**
   * @param report narrates `count` occurrences (at least 1); runs inside of `add`, in a timer, or in `flush`
   * @param windowMs minimum milliseconds between two reports
   */
  constructor(report: (count: number) => void, windowMs = REPORT_WINDOW_MS) {
    this.#report = report;
    this.#windowMs = windowMs;
  }

  /** Counts `n` occurrences, and reports them at once if no window is open. */
  add(n = 1): void {
    this.#pending += n;
    if (this.#window === undefined) this.#reportPending();
  }

  /** Reports the occurrences that were not yet reported, and closes the window. For the end of the owner. */
  flush(): void {
    clearTimeout(this.#window);
    this.#window = undefined;
    this.#take();
  }

  #reportPending(): void {
    this.#window = undefined;
    if (this.#pending === 0) return;
    // The window opens before the report, so that an occurrence inside of the report waits for its end.
    this.#window = setTimeout(() => this.#reportPending(), this.#windowMs).unref();
    this.#take();
  }

  #take(): void {
    const count = this.#pending;
    this.#pending = 0;
    if (count > 0) this.#report(count);
  }
}
