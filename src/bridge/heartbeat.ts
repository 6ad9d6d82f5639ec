/**
 * Watches whether an engine process still answers. The engine reads no messages during a step, so the worker
 * measures the silence: every message of the engine is a heartbeat, and a silent engine gets a ping. Knows
 * nothing of processes or sequences.
 */

/** Interval of the pings to an idle engine. */
const PING_MS = 1000;

export class Heartbeat {
  readonly #timer: NodeJS.Timeout;
  #tickedAt = performance.now();
  /** Milliseconds without a message, counted only while this process was running. */
  #silentMs = 0;
  /** A ping is unanswered: one is enough. */
  #pinged = false;

  /** Calls `ping` after an interval without a message, and `onSilent` once after `timeoutMs` without one. */
  constructor(timeoutMs: number, ping: () => void, onSilent: () => void) {
    const everyMs = Math.min(PING_MS, timeoutMs / 4);
    this.#timer = setInterval(() => {
      const now = performance.now();
      // A tick that is late does not count in full: this process was suspended or busy, and has unread
      // messages.
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

  /** The engine has sent a message. */
  heard(): void {
    this.#silentMs = 0;
    this.#pinged = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
