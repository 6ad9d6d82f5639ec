/**
 * Whether an engine process still answers. The engine is deaf within a step, so the watch is kept on this side: whatever it says is a
 * heartbeat, and when it says nothing it is pinged. Knows nothing of processes or sequences.
 */

/** An idle engine is pinged this often. */
const PING_MS = 1000;

export class Heartbeat {
  readonly #timer: NodeJS.Timeout;
  #tickedAt = performance.now();
  /** Milliseconds without a word, as this process lived through them. */
  #silentMs = 0;
  /** A ping is under way: one is enough. */
  #asked = false;

  /** Calls `ping` when there was nothing to hear, and `onSilent` once when that was so for `patienceMs`. */
  constructor(patienceMs: number, ping: () => void, onSilent: () => void) {
    const everyMs = Math.min(PING_MS, patienceMs / 4);
    this.#timer = setInterval(() => {
      const now = performance.now();
      // A process that was itself suspended, or busy, has not yet read what waits for it: that time is not held against the engine.
      this.#silentMs += Math.min(now - this.#tickedAt, 2 * everyMs);
      this.#tickedAt = now;
      if (this.#silentMs >= patienceMs) {
        this.stop();
        onSilent();
      } else if (!this.#asked) {
        this.#asked = true;
        ping();
      }
    }, everyMs);
    this.#timer.unref();
  }

  /** The engine has said something. */
  heard(): void {
    this.#silentMs = 0;
    this.#asked = false;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
