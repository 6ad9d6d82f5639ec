/**
 * Counters, histograms and gauges of the worker, and their text in the format of Prometheus. They are plain
 * numbers: counting needs no package, which a worker would load at its start.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** One metric: its text has a line for each series. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** The lines of the metric, each with a line feed. */
  text(): string;
}

/** Writes the series of a metric under another name. `labels` is empty, or as `labelsOf` returns them. */
export type SeriesLines = (name: string, labels: string) => string;

/** A number that only grows, for each value of one label or without a label. */
export class Counter implements Metric {
  readonly name: string;
  readonly help: string;
  readonly type = 'counter';
  readonly #label: string | undefined;
  readonly #counts = new Map<string, number>();

  /**
   * @param label name of the label
   * @param values its values that have a series from the start, so that a rate includes their first count
   */
  constructor(name: string, help: string, label?: string, values: readonly string[] = []) {
    this.name = name;
    this.help = help;
    this.#label = label;
    for (const value of label === undefined ? [''] : values) this.#counts.set(value, 0);
  }

  /** @param value the value of the label: a word of this program, and no text of a user */
  add(count: number, value = ''): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
  }

  /** The sum over the given values of the label, or the number of a counter without a label. */
  count(...values: readonly string[]): number {
    return (values.length === 0 ? [''] : values).reduce((sum, value) => sum + (this.#counts.get(value) ?? 0), 0);
  }

  text(): string {
    const label = (value: string): string => (this.#label === undefined ? '' : `{${this.#label}="${value}"}`);
    const lines = Array.from(this.#counts, ([value, count]) => `${this.name}${label(value)} ${count}\n`);
    return headOf(this) + lines.join('');
  }
}

/** The buckets of a histogram in one unit, and the number of values in each. */
class Buckets {
  readonly #bounds: readonly number[];
  /** The label of each bound. */
  readonly #labels: readonly string[];
  /** The line of each bucket up to its number, for the name and the labels of the first text. */
  #prefixes: readonly string[] | undefined;
  /** Values above the previous bound and up to this one; the last count: values above all bounds. */
  readonly #counts: number[];

  /**
   * @param bounds ascending, in the unit of the text
   * @param scale units of the values in one unit of the text
   * @param shown the text of a bound
   */
  constructor(bounds: readonly number[], scale = 1, shown: (bound: number) => string = String) {
    this.#bounds = bounds.map((bound) => bound * scale);
    this.#labels = [...bounds.map(shown), '+Inf'].map((bound) => `le="${bound}"`);
    this.#counts = this.#labels.map(() => 0);
  }

  add(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /**
   * The lines of the histogram. Name and labels are the same in each call.
   * @param sum of all values, in the unit of the text
   */
  lines(name: string, labels: string, sum: number): string {
    const more = labels === '' ? '' : `,${labels}`;
    const own = labels === '' ? '' : `{${labels}}`;
    this.#prefixes ??= this.#labels.map((label) => `${name}_bucket{${label}${more}} `);
    let [total, text] = [0, ''];
    for (const [at, prefix] of this.#prefixes.entries()) {
      total += this.#counts[at] ?? 0;
      text += `${prefix}${total}\n`;
    }
    return `${text}${name}_sum${own} ${sum}\n${name}_count${own} ${total}\n`;
  }
}

/** Counts of values up to each of some bounds, with their sum. */
export class Histogram implements Metric {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly #own: Buckets;
  readonly #all: Buckets[];
  #sum = 0;

  /** @param bounds ascending */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#own = new Buckets(bounds);
    this.#all = [this.#own];
  }

  observe(value: number): void {
    for (const buckets of this.#all) buckets.add(value);
    this.#sum += value;
  }

  /**
   * The same values in other buckets and another unit. Count and sum are those of this histogram. Call before
   * the first value. Bounds are written as Python writes them, `1.0`: equal texts are one series in a sum.
   * @param bounds ascending, in the other unit
   * @param scale units of this histogram in one other unit, for example 1000 for milliseconds as seconds
   */
  view(bounds: readonly number[], scale: number): SeriesLines {
    const buckets = new Buckets(bounds, scale, withPoint);
    this.#all.push(buckets);
    return (name, labels) => buckets.lines(name, labels, this.#sum / scale);
  }

  text(): string {
    return headOf(this) + this.#own.lines(this.name, '', this.#sum);
  }
}

/** A value that is read at each scrape. */
export class Gauge implements Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly #read: () => number | undefined;

  /** @param read the series is absent while it returns undefined */
  constructor(name: string, help: string, read: () => number | undefined, type: 'gauge' | 'counter' = 'gauge') {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#read = read;
  }

  text(): string {
    const value = this.#read();
    return value === undefined ? headOf(this) : `${headOf(this)}${this.name} ${value}\n`;
  }
}

/** The comment lines above the series of a metric. */
export const headOf = ({ name, help, type }: Omit<Metric, 'text'>): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

const withPoint = (bound: number): string => (Number.isInteger(bound) ? bound.toFixed(1) : String(bound));

/** Labels with escaped values, without braces: `a="b",c="d"`. */
export const labelsOf = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

const escaped = (value: string): string => value.replace(/[\\"\n]/g, (character) => ESCAPES[character] ?? '');
