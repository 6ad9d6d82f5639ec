/**
 * Detects an engine process that does not answer. The engine reads no messages during a step, so this class
 * measures the time without a message: every message of the engine is a heartbeat, and a silent engine gets a
 * ping. Knows nothing about processes or sequences.
 */

/** Interval of the pings to an idle engine. */
export const PING_MS = 1000;

export class Heartbeat {
  readonly #timer: NodeJS.Timeout;
  #tickedAt = performance.now();
  /** Milliseconds without a message, counted only while this process was running. */
  #silentMs = 0;
  /** True while a ping is unanswered: no second ping is sent. */
  #pinged = false;

  /** Calls `ping` after an interval without a message, and `onSilent` once after `timeoutMs` without one. */
  constructor(timeoutMs: number, ping: () => void, onSilent: () => void) {
    const everyMs = Math.min(PING_MS, timeoutMs / 4);
    this.#timer = setInterval(() => {
      const now = performance.now();
      // A late tick does not count in full: this process was suspended or busy, and may have unread messages.
      this.#silentMs += Math.min(now - this.#tickedAt, 2 * everyMs);
      this.#tickedAt = now;
      if (this.#silentMs >= timeoutMs) {
        this.stop();
        onSilent();
      } else if (!this.#pinged) {
        this.#pinged = true;
        ping();
      }
    }, everyMs);
    this.#timer.unref();
  }

  /** Must be called for each message of the engine. */
  heard(): void {
    this.#silentMs = 0;
    this.#pinged = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
