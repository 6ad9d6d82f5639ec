/**
 * The lag of the event loop. A timer measures it every 10 ms, but only while requests run: an idle process
 * must not wake up for it. `monitorEventLoopDelay` is not used, because it counts the time between `disable`
 * and the next `enable` as lag.
 */
import { createHistogram, type Histogram } from 'node:perf_hooks';
import { lazy } from '../protocol/start/lazy.ts';
import { Gauge, type Metric } from './series.ts';

/** Interval of the timer. The histogram records the time between two ticks, in nanoseconds. */
const INTERVAL_MS = 10;
/** Longest time in the histogram: an hour. */
const MAX_NANOSECONDS = 3600e9;
const NANOSECONDS = 1e9;

export class LoopLag {
  readonly #histogram = lazy(() => createHistogram({ highest: MAX_NANOSECONDS }));
  #requests = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Time of the last tick, or of the start of the timer. */
  #at = 0;

  /** Call when a request begins. */
  begin(): void {
    this.#requests += 1;
    if (this.#requests > 1) return;
    this.#at = performance.now();
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS).unref();
  }

  /** Call once for each `begin`, when the request has ended. */
  end(): void {
    this.#requests -= 1;
    if (this.#requests === 0) clearInterval(this.#timer);
  }

  /**
   * The metrics of the time since the last scrape, with the names that Node.js processes usually have.
   * Statistics are absent if no request ran since then.
   * @param current seconds that a turn of the event loop takes now
   */
  metrics(current: number): readonly Metric[] {
    const histogram = this.#histogram();
    const isEmpty = histogram.count === 0;
    const read = (of: (from: Histogram) => number): (() => number | undefined) => {
      const seconds = isEmpty ? undefined : of(histogram) / NANOSECONDS;
      return () => seconds;
    };
    const lag = (ns: number): number => Math.max(0, ns - INTERVAL_MS * 1e6);
    const statistics: readonly (readonly [string, string, () => number | undefined])[] = [
      ['min', 'The minimum recorded event loop delay.', read(({ min }) => lag(min))],
      ['max', 'The maximum recorded event loop delay.', read(({ max }) => lag(max))],
      ['mean', 'The mean of the recorded event loop delays.', read(({ mean }) => lag(mean))],
      ['stddev', 'The standard deviation of the recorded event loop delays.', read(({ stddev }) => stddev)],
      ...[50, 90, 99].map(
        (percent) =>
          [
            `p${percent}`,
            `The ${percent}th percentile of the recorded event loop delays.`,
            read((from) => lag(from.percentile(percent))),
          ] as const,
      ),
    ];
    histogram.reset();
    return [
      new Gauge('nodejs_eventloop_lag_seconds', 'Lag of event loop in seconds.', () => current),
      ...statistics.map(([name, help, value]) => new Gauge(`nodejs_eventloop_lag_${name}_seconds`, help, value)),
    ];
  }

  #tick(): void {
    const now = performance.now();
    this.#histogram().record(Math.max(1, Math.round((now - this.#at) * 1e6)));
    this.#at = now;
  }
}
