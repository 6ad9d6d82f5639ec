/** Figures of the process that cannot be read are absent, and all others stay. */
import { setTimeout as sleep } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { ProcessFigures, type SystemFiles } from '../../src/telemetry/process-figures.ts';
import { NO_GAUGES } from '../support/fakes.ts';

const refuse = (): never => {
  throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
};
const BROKEN: SystemFiles = { text: refuse, names: refuse, resident: refuse };
const STATUS = 'Name:\tnode\nVmSize:\t    2048 kB\nVmData:\t 1024 kB\n';
const LIMITS =
  'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n';

/** Names of the series with a value. */
const seriesIn = (text: string): string[] =>
  text.split('\n').flatMap((line) => (line === '' || line.startsWith('#') ? [] : [line.replace(/[ {].*$/, '')]));

const LINUX_SERIES = ['process_virtual_memory_bytes', 'process_heap_bytes', 'process_open_fds', 'process_max_fds'];

test.runIf(process.platform === 'linux')('a scrape without readable files has every other series', async () => {
  await new Metrics(NO_GAUGES).render(); // Loads a package: its reading would be an active request.
  const all = seriesIn(await new Metrics(NO_GAUGES).render());
  const left = seriesIn(await new Metrics(NO_GAUGES, new ProcessFigures(BROKEN)).render());
  expect(all.filter((name) => !left.includes(name)).toSorted()).toEqual(
    ['process_resident_memory_bytes', ...LINUX_SERIES].toSorted(),
  );
  expect(left).toContain('nodejs_heap_size_used_bytes');
});

test('a series disappears when its figure cannot be read any more, and returns', async () => {
  let resident = (): number => 42;
  const metrics = new Metrics(NO_GAUGES, new ProcessFigures({ ...BROKEN, resident: () => resident() }));
  const line = 'process_resident_memory_bytes 42';
  expect(await metrics.render()).toContain(line);
  resident = refuse;
  expect(seriesIn(await metrics.render())).not.toContain('process_resident_memory_bytes');
  resident = () => 42;
  expect(await metrics.render()).toContain(line);
});

test('the metrics of the process are kept for the given time, and those of the worker are not', async () => {
  let bytes = 1;
  const metrics = new Metrics(NO_GAUGES, new ProcessFigures({ ...BROKEN, resident: () => bytes }));
  const resident = async (maxAgeMs?: number): Promise<(number | undefined)[]> => {
    const text = await metrics.render(maxAgeMs);
    return [valueIn(text, 'process_resident_memory_bytes'), valueIn(text, 'worker_tokens_generated_total')];
  };
  const first = resident(60_000);
  expect(await Promise.all([first, resident(60_000)])).toEqual([
    [1, 0],
    [1, 0],
  ]);
  bytes = 2;
  metrics.token(1);
  expect(await resident(60_000)).toEqual([1, 1]);
  expect(await resident()).toEqual([2, 1]);
});

test('the figures of Linux', () => {
  const text = (path: string): string => (path.endsWith('/limits') ? LIMITS : STATUS);
  const figures = new ProcessFigures({ ...BROKEN, text, names: () => ['0', '1', '2', '17'] });
  expect(figures).toMatchObject({ virtualBytes: 2_097_152, dataBytes: 1_048_576, openFiles: 3, openFilesLimit: 1024 });
  const without = new ProcessFigures({ ...BROKEN, text: () => 'Max open files   unlimited   unlimited   files' });
  expect([without.openFilesLimit, without.virtualBytes, without.residentBytes]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test('the memory of worker and engine is a series while it is known', async () => {
  let bytes: number | undefined = 68_000_000;
  const metrics = new Metrics({ ...NO_GAUGES, memoryBytes: async () => bytes });
  expect(await metrics.render()).toContain('worker_memory_bytes 68000000');
  bytes = undefined;
  expect(seriesIn(await metrics.render())).not.toContain('worker_memory_bytes');
});

/** The names of all metrics of a scrape, with and without values. */
const namesIn = (text: string): string[] =>
  text.split('\n').flatMap((line) => (line.startsWith('# TYPE ') ? [line.split(' ')[2] ?? ''] : []));

test('a scrape has the usual metrics of a Node.js process', async () => {
  const usual = new Registry();
  collectDefaultMetrics({ register: usual });
  const expected = usual.getMetricsAsArray().map(({ name }) => name);
  expect(namesIn(await new Metrics(NO_GAUGES).render())).toEqual(expect.arrayContaining(expected));
});

test('counters and histograms have the format of Prometheus', async () => {
  const metrics = new Metrics(NO_GAUGES);
  metrics.refused('unauthorized');
  metrics.refused('unauthorized');
  metrics.token(1);
  metrics.token(3);
  metrics.token(100);
  const text = await metrics.render();
  expect(text).toContain(
    '# HELP worker_http_refusals_total Refused requests and connections, by reason\n' +
      '# TYPE worker_http_refusals_total counter\nworker_http_refusals_total{reason="unauthorized"} 2\n',
  );
  expect(text).toContain('\nworker_tokens_generated_total 3\n');
  expect(text).toContain('\nworker_tokens_in_total 0\n');
  expect(text).toContain(
    '# TYPE worker_batch_size histogram\n' +
      'worker_batch_size_bucket{le="1"} 1\nworker_batch_size_bucket{le="2"} 1\nworker_batch_size_bucket{le="4"} 2\n' +
      'worker_batch_size_bucket{le="8"} 2\nworker_batch_size_bucket{le="16"} 2\nworker_batch_size_bucket{le="32"} 2\n' +
      'worker_batch_size_bucket{le="64"} 2\nworker_batch_size_bucket{le="+Inf"} 3\n' +
      'worker_batch_size_sum 104\nworker_batch_size_count 3\n',
  );
});

/** The value of a series without labels; undefined if it is absent. */
const valueIn = (text: string, name: string): number | undefined => {
  const digits = new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
};
const MAX_LAG = 'nodejs_eventloop_lag_max_seconds';

test('the lag of the event loop is measured while requests run, and only then', async () => {
  const metrics = new Metrics(NO_GAUGES);
  const block = async (): Promise<void> => {
    await sleep(30);
    const until = performance.now() + 100;
    while (performance.now() < until);
    await sleep(30);
  };
  await block();
  const idle = await metrics.render();
  expect(valueIn(idle, MAX_LAG)).toBeUndefined();
  expect(valueIn(idle, 'nodejs_eventloop_lag_seconds')).toBeGreaterThanOrEqual(0);
  metrics.begun();
  metrics.begun();
  metrics.ended();
  await block();
  metrics.ended();
  const peak = valueIn(await metrics.render(), MAX_LAG);
  expect(peak).toBeGreaterThan(0.05);
  await block();
  expect(valueIn(await metrics.render(), MAX_LAG)).toBe(peak);
});

test('the time between two requests is no lag', async () => {
  const metrics = new Metrics(NO_GAUGES);
  /** A request of some ticks of the timer. */
  const request = async (): Promise<void> => {
    metrics.begun();
    await sleep(50);
    metrics.ended();
  };
  await request();
  const idleSeconds = 3;
  await sleep(idleSeconds * 1000);
  await request();
  expect(valueIn(await metrics.render(), MAX_LAG)).toBeLessThan(idleSeconds / 2);
});
