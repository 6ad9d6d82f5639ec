/**
 * Counters, histograms and gauges of the worker, and their text in the format of Prometheus. They are plain
 * numbers: counting needs no package, which a worker would load at its start.
 */

/** One metric: its text has a line for each series. */
export interface Metric {
  /** The lines of the metric, each with a line feed. */
  text(): string;
}

/** A number that only grows, for each value of one label or without a label. */
export class Counter implements Metric {
  readonly #head: string;
  readonly #name: string;
  readonly #label: string | undefined;
  readonly #counts = new Map<string, number>();

  constructor(name: string, help: string, label?: string) {
    this.#head = headOf(name, help, 'counter');
    this.#name = name;
    this.#label = label;
    if (label === undefined) this.#counts.set('', 0);
  }

  /** @param value the value of the label: a word of this program, and no text of a user */
  add(count: number, value = ''): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
  }

  text(): string {
    const label = (value: string): string => (this.#label === undefined ? '' : `{${this.#label}="${value}"}`);
    const lines = Array.from(this.#counts, ([value, count]) => `${this.#name}${label(value)} ${count}\n`);
    return this.#head + lines.join('');
  }
}

/** Counts of values up to each of some bounds, with their sum. */
export class Histogram implements Metric {
  readonly #head: string;
  readonly #name: string;
  readonly #bounds: readonly number[];
  /** Values above the previous bound and up to this one; the last count: values above all bounds. */
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds ascending */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#head = headOf(name, help, 'histogram');
    this.#name = name;
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  text(): string {
    let total = 0;
    const buckets = this.#counts.map((count, at) => {
      total += count;
      return `${this.#name}_bucket{le="${this.#bounds[at] ?? '+Inf'}"} ${total}\n`;
    });
    return `${this.#head}${buckets.join('')}${this.#name}_sum ${this.#sum}\n${this.#name}_count ${total}\n`;
  }
}

/** A value that is read at each scrape. */
export class Gauge implements Metric {
  readonly #head: string;
  readonly #name: string;
  readonly #read: () => number | undefined;

  /** @param read the series is absent while it returns undefined */
  constructor(name: string, help: string, read: () => number | undefined, type: 'gauge' | 'counter' = 'gauge') {
    this.#head = headOf(name, help, type);
    this.#name = name;
    this.#read = read;
  }

  text(): string {
    const value = this.#read();
    return value === undefined ? this.#head : `${this.#head}${this.#name} ${value}\n`;
  }
}

const headOf = (name: string, help: string, type: string): string => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
