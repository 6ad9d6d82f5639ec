/**
 * The lag of the event loop in the last 30 to 60 seconds. A timer measures it every 10 ms, but only while
 * requests run: an idle process must not wake up for it. A scrape changes nothing: a router that scrapes
 * often hides no peak from Prometheus. `monitorEventLoopDelay` is not used, because it counts the time
 * between `disable` and the next `enable` as lag.
 */
import { createHistogram, type Histogram, type RecordableHistogram } from 'node:perf_hooks';
import { lazy } from '../protocol/start/lazy.ts';
import { Gauge, type Metric } from './series.ts';

/** Interval of the timer. The histogram records the time between two ticks, in nanoseconds. */
const INTERVAL_MS = 10;
/** Longest time in the histogram: an hour. */
const MAX_NANOSECONDS = 3600e9;
const NANOSECONDS = 1e9;
/**
 * The statistics are those of one to two windows: longer than the usual 15 s between two scrapes of
 * Prometheus.
 */
export const WINDOW_MS = 30_000;
const PERIOD = `of the last ${WINDOW_MS / 1000} to ${(2 * WINDOW_MS) / 1000} s in which requests ran.`;

export class LoopLag {
  /** Each has the time since the begin of its window, or of the window before it. */
  readonly #histograms = lazy(() => [histogram(), histogram()] as const);
  readonly #now: () => number;
  /** Number of the window since the start of the process. */
  #window = 0;
  #requests = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Time of the last tick, or of the start of the timer. */
  #at = 0;

  /** @param now milliseconds of a clock; replaced by tests */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Call when a request begins. */
  begin(): void {
    this.#requests += 1;
    if (this.#requests > 1) return;
    this.#at = this.#now();
    this.#timer = setInterval(() => this.tick(), INTERVAL_MS).unref();
  }

  /** Call once for each `begin`, when the request has ended. */
  end(): void {
    this.#requests -= 1;
    if (this.#requests === 0) clearInterval(this.#timer);
  }

  /**
   * The metrics with the names that Node.js processes usually have. Statistics are absent if no request ran
   * in their time.
   * @param current seconds that a turn of the event loop takes now
   */
  metrics(current: number): readonly Metric[] {
    const longest = this.#current()[(this.#window + 1) % 2];
    const read = (of: (from: Histogram) => number): (() => number | undefined) => {
      const seconds = !longest || longest.count === 0 ? undefined : of(longest) / NANOSECONDS;
      return () => seconds;
    };
    const lag = (ns: number): number => Math.max(0, ns - INTERVAL_MS * 1e6);
    const statistics: readonly (readonly [string, string, () => number | undefined])[] = [
      ['min', `The minimum event loop delay ${PERIOD}`, read(({ min }) => lag(min))],
      ['max', `The maximum event loop delay ${PERIOD}`, read(({ max }) => lag(max))],
      ['mean', `The mean of the event loop delays ${PERIOD}`, read(({ mean }) => lag(mean))],
      ['stddev', `The standard deviation of the event loop delays ${PERIOD}`, read(({ stddev }) => stddev)],
      ...[50, 90, 99].map(
        (percent) =>
          [
            `p${percent}`,
            `The ${percent}th percentile of the event loop delays ${PERIOD}`,
            read((from) => lag(from.percentile(percent))),
          ] as const,
      ),
    ];
    return [
      new Gauge('nodejs_eventloop_lag_seconds', 'Lag of event loop in seconds.', () => current),
      ...statistics.map(([name, help, value]) => new Gauge(`nodejs_eventloop_lag_${name}_seconds`, help, value)),
    ];
  }

  /** Records the time since the last tick. Called by the timer. */
  tick(): void {
    const now = this.#now();
    const nanoseconds = Math.max(1, Math.round((now - this.#at) * 1e6));
    for (const each of this.#current()) each.record(nanoseconds);
    this.#at = now;
  }

  /**
   * The histograms of this window. A new window empties the histogram that has two windows; the other one
   * then has the longest time.
   */
  #current(): readonly RecordableHistogram[] {
    const all = this.#histograms();
    const window = Math.floor(this.#now() / WINDOW_MS);
    if (window > this.#window) all[window % 2]?.reset();
    if (window > this.#window + 1) all[(window + 1) % 2]?.reset();
    this.#window = window;
    return all;
  }
}

const histogram = (): RecordableHistogram => createHistogram({ highest: MAX_NANOSECONDS });
