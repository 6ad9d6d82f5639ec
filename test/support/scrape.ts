/** The text of `/metrics`, parsed: names, types and values of all series. */
import type { TestWorker } from './worker.ts';

/** One series of a scrape. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The buckets, the sum and the count of a histogram. */
export interface HistogramSeries {
  /** The bounds as they are written, without `+Inf`. */
  readonly bounds: readonly string[];
  readonly sum: number;
  readonly count: number;
}

export class Scrape {
  readonly text: string;
  readonly series: readonly Series[];
  /** Name of each metric → its type. */
  readonly types: ReadonlyMap<string, string>;

  constructor(text: string) {
    this.text = text;
    const lines = text.split('\n').filter((line) => line !== '');
    this.series = lines.filter((line) => !line.startsWith('#')).map(seriesIn);
    this.types = new Map(
      lines.flatMap((line): [string, string][] => {
        const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
        return name !== undefined && type !== undefined ? [[name, type]] : [];
      }),
    );
  }

  static async of(worker: TestWorker, headers: Record<string, string> = {}): Promise<Scrape> {
    return new Scrape(await (await worker.get('/metrics', headers)).text());
  }

  /** The series of a name that have these labels. */
  all(name: string, labels: Readonly<Record<string, string>> = {}): readonly Series[] {
    const wanted = Object.entries(labels);
    return this.series.filter((one) => one.name === name && wanted.every(([key, value]) => one.labels[key] === value));
  }

  /** The value of the only series of a name with these labels. @throws Error if there is none, or several */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const [one, ...others] = this.all(name, labels);
    if (!one || others.length > 0) throw new Error(`${name} has ${others.length + (one ? 1 : 0)} series`);
    return one.value;
  }

  histogram(name: string): HistogramSeries {
    const bounds = this.all(`${name}_bucket`).flatMap(({ labels }) =>
      labels['le'] === '+Inf' ? [] : [labels['le'] ?? ''],
    );
    return { bounds, sum: this.value(`${name}_sum`), count: this.value(`${name}_count`) };
  }
}

const UNESCAPED: Readonly<Record<string, string>> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

function seriesIn(line: string): Series {
  const [, name = '', labels = '', value = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (name === '') throw new Error(`This is no line of the format of Prometheus: ${line}`);
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)];
  const entries = pairs.map(([, key = '', text = '']) => [key, text.replace(/\\./g, (two) => UNESCAPED[two] ?? two)]);
  return {
    name,
    labels: Object.fromEntries(entries) as Record<string, string>,
    value: Number(value.replace('Inf', 'Infinity')),
  };
}
