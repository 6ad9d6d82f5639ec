/**
 * The metrics that every Node.js process has, under the usual names. Some come from prom-client, which the
 * first scrape loads: its durations of garbage collections begin there.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import type { LoopLag } from './loop-lag.ts';
import type { ProcessFigures } from './process-figures.ts';
import { Gauge, type Metric } from './series.ts';

const MICROSECONDS = 1e6;

export class ProcessMetrics {
  readonly #figures: ProcessFigures;
  readonly #lag: LoopLag;
  #text: Promise<string> | undefined;
  /** Time of the text, on the clock of performance.now(). */
  #at = Number.NEGATIVE_INFINITY;
  /** The metrics of prom-client, when they are loaded. */
  #others: (() => Promise<string>) | undefined;

  constructor(figures: ProcessFigures, lag: LoopLag) {
    this.#figures = figures;
    this.#lag = lag;
  }

  /**
   * The text of all metrics of the process: the last one if it is younger than `maxAgeMs`. A new one reads
   * files of the system, and takes more time than all metrics of the worker.
   */
  text(maxAgeMs: number): Promise<string> {
    const now = performance.now();
    if (this.#text === undefined || now - this.#at >= maxAgeMs) {
      this.#at = now;
      this.#text = this.#render();
    }
    return this.#text;
  }

  async #render(): Promise<string> {
    const began = performance.now();
    await nextTurn();
    const metrics = [...this.#own(), ...this.#lag.metrics((performance.now() - began) / 1000)];
    return [...metrics.map((metric) => metric.text()), await this.#ofPackage()].join('\n');
  }

  /** Empty while the process has no file descriptor to load the package. */
  async #ofPackage(): Promise<string> {
    try {
      this.#others ??= (await import('./package-metrics.ts')).packageMetrics();
    } catch {
      return '';
    }
    return this.#others();
  }

  /** A figure that cannot be read is absent; those of prom-client would show 0 or their last value. */
  #own(): readonly Metric[] {
    const figures = this.#figures;
    const { user, system } = process.cpuUsage();
    const heap = getHeapStatistics();
    const seconds = (name: string, help: string, value: number): Metric =>
      new Gauge(`process_cpu_${name}seconds_total`, help, () => value / MICROSECONDS, 'counter');
    const gauge = (name: string, help: string, value: number | undefined): Metric => new Gauge(name, help, () => value);
    return [
      seconds('user_', 'Total user CPU time spent in seconds.', user),
      seconds('system_', 'Total system CPU time spent in seconds.', system),
      seconds('', 'Total user and system CPU time spent in seconds.', user + system),
      gauge(
        'process_start_time_seconds',
        'Start time of the process since unix epoch in seconds.',
        Math.round(performance.timeOrigin / 1000),
      ),
      gauge('process_resident_memory_bytes', 'Resident memory of the worker process in bytes', figures.residentBytes),
      gauge('nodejs_heap_size_total_bytes', 'Size of the heap in bytes', heap.total_heap_size),
      gauge('nodejs_heap_size_used_bytes', 'Used bytes of the heap', heap.used_heap_size),
      gauge(
        'nodejs_external_memory_bytes',
        'Bytes of memory outside of the heap that its objects hold',
        heap.external_memory,
      ),
      ...(process.platform === 'linux'
        ? [
            gauge('process_virtual_memory_bytes', 'Size of the address space in bytes', figures.virtualBytes),
            gauge('process_heap_bytes', 'Size of the data segment in bytes', figures.dataBytes),
            gauge('process_open_fds', 'Number of open file descriptors', figures.openFiles),
            gauge('process_max_fds', 'Maximum number of open file descriptors', figures.openFilesLimit),
          ]
        : []),
    ];
  }
}
