/** Emits the `metrics` events of one job: its speed so far, at most twice a second. */
import type { EventLog } from '../event-log.ts';
import { rounded, type TokenTiming } from './timing.ts';

/** Minimum time between two `metrics` events, in milliseconds. */
const METRICS_MS = 500;

export class SpeedMetrics {
  readonly #log: EventLog;
  readonly #timing: TokenTiming;
  readonly #deviceBytes: number;
  /** Time of the last event, on the clock of performance.now(). */
  #emittedAt = Number.NEGATIVE_INFINITY;

  /** @param deviceBytes memory of the model on its device */
  constructor(log: EventLog, timing: TokenTiming, deviceBytes: number) {
    this.#log = log;
    this.#timing = timing;
    this.#deviceBytes = deviceBytes;
  }

  /**
   * Emits an event, unless the last one is too recent.
   * @param batch sequences computed in the last step
   */
  emit(batch: number): void {
    const now = performance.now();
    if (now - this.#emittedAt < METRICS_MS) return;
    this.#emittedAt = now;
    this.#log.emit({
      type: 'metrics',
      tokens_out: this.#timing.tokens,
      tokens_per_sec: rounded(this.#timing.tokensPerSecond),
      time_to_first_token_ms: rounded(this.#timing.timeToFirstTokenMs ?? 0),
      vram_bytes: this.#deviceBytes,
      batch_size: batch,
    });
  }
}
