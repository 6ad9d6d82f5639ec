/** Figures of the process that cannot be read are absent, and all others stay. */
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
