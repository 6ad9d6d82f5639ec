/** The metrics of the worker in the order of a scrape. */
import { Counter, Gauge, Histogram, type Metric } from './series.ts';

export class MetricList {
  readonly #metrics: Metric[] = [];

  get all(): readonly Metric[] {
    return this.#metrics;
  }

  /** @param values values of the label that have a series from the start */
  counter(name: string, help: string, label?: string, values?: readonly string[]): Counter {
    return this.#add(new Counter(name, help, label, values));
  }

  /** @param bounds of the buckets, ascending */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    return this.#add(new Histogram(name, help, bounds));
  }

  /** The series is absent while `read` returns undefined. */
  gauge(name: string, help: string, read: () => number | undefined, type?: 'gauge' | 'counter'): void {
    this.#add(new Gauge(name, help, read, type));
  }

  /** Adds metrics that another part keeps. */
  include(metrics: readonly Metric[]): void {
    this.#metrics.push(...metrics);
  }

  #add<M extends Metric>(metric: M): M {
    this.#metrics.push(metric);
    return metric;
  }
}
