/** The memory of worker and engine: proportional, shared between readers, read seldom and only on demand. */
import { expect, test } from 'vitest';
import { memoryFile } from '../../src/protocol/host/process-memory.ts';
import {
  MAX_MEMORY_AGE_MS,
  MEMORY_READING_SHARE,
  MemoryFigure,
  type MemoryReader,
  MIN_MEMORY_AGE_MS,
} from '../../src/telemetry/memory-figure.ts';

const ENGINE = 4242;
const OWN_FILE = memoryFile(process.pid);
const ENGINE_FILE = memoryFile(ENGINE);

/** A system with a clock, and files that are read as slowly as a test wants. */
class System implements MemoryReader {
  readonly files = new Map([
    [OWN_FILE, 'Rss: 9000 kB\nPss: 100 kB\n'],
    [ENGINE_FILE, 'Rss: 9000 kB\nPss: 50 kB\n'],
  ]);
  readonly reads: string[] = [];
  time = 0;
  /** Milliseconds of a reading. */
  slowness = 0;
  readonly now = (): number => this.time;
  readonly resident = (): number => 9000;

  readonly text = async (path: string): Promise<string> => {
    this.reads.push(path);
    this.time += this.slowness;
    const text = this.files.get(path);
    if (text === undefined) throw new Error('ENOENT');
    return text;
  };
}

const withEngine = (residentBytes?: number) => () => ({ pid: ENGINE, residentBytes });

test('is the proportional memory of both processes', async () => {
  expect(await new MemoryFigure(withEngine(), new System()).read()).toBe(150 * 1024);
});

test('has the own memory of both processes and the files of the engine apart', async () => {
  const system = new System();
  system.files.set(OWN_FILE, 'Rss: 90 kB\nPss: 60 kB\nAnonymous: 50 kB\n');
  system.files.set(ENGINE_FILE, 'Rss: 900 kB\nPss: 500 kB\nAnonymous: 200 kB\n');
  const figure = new MemoryFigure(withEngine(), system);
  expect(figure.parts).toBeUndefined();
  await figure.read();
  expect(figure.parts).toEqual({ own: 250 * 1024, shared: 700 * 1024 });
});

test('has no parts where the system does not tell them', async () => {
  const figure = new MemoryFigure(withEngine(), new System());
  await figure.read();
  expect(figure.parts).toBeUndefined();
});

test('is that of the worker while there is no engine', async () => {
  const figure = new MemoryFigure(() => ({ pid: undefined, residentBytes: 7 }), new System());
  expect(await figure.read()).toBe(100 * 1024);
});

test.each([OWN_FILE, ENGINE_FILE])('is the resident memory of both without %s', async (file) => {
  const system = new System();
  system.files.delete(file);
  expect(await new MemoryFigure(withEngine(1000), system).read()).toBe(10_000);
  expect(await new MemoryFigure(withEngine(undefined), system).read()).toBeUndefined();
});

test('is read again only if somebody asks, and only when it is old', async () => {
  const system = new System();
  const figure = new MemoryFigure(withEngine(), system);
  expect(figure.bytes).toBeUndefined();
  await figure.read();
  expect(system.reads).toHaveLength(2);
  system.files.set(ENGINE_FILE, 'Pss: 150 kB\n');
  system.time = MIN_MEMORY_AGE_MS - 1;
  expect(figure.bytes).toBe(150 * 1024);
  expect(await figure.read()).toBe(150 * 1024);
  expect(system.reads).toHaveLength(2);
  system.time = MIN_MEMORY_AGE_MS;
  // The old figure at once, while the next one is read.
  expect(figure.bytes).toBe(150 * 1024);
  expect(await figure.read()).toBe(250 * 1024);
  expect(system.reads).toHaveLength(4);
});

test('is read once for callers at the same time', async () => {
  const system = new System();
  const figure = new MemoryFigure(withEngine(), system);
  await Promise.all([figure.read(), figure.refresh(), figure.read()]);
  expect(system.reads).toHaveLength(2);
});

test('takes a small part of the time, however long a reading takes', async () => {
  const system = new System();
  system.slowness = 100;
  const figure = new MemoryFigure(withEngine(), system);
  await figure.read();
  const ended = system.time;
  system.time = ended + 2 * system.slowness * MEMORY_READING_SHARE - 1;
  await figure.read();
  expect(system.reads).toHaveLength(2);
  system.time += 1;
  await figure.read();
  expect(system.reads).toHaveLength(4);
});

test('is read again after a minute, even if a reading took very long', async () => {
  const system = new System();
  system.slowness = 100_000;
  const figure = new MemoryFigure(withEngine(), system);
  await figure.read();
  system.time += MAX_MEMORY_AGE_MS - 1;
  await figure.read();
  expect(system.reads).toHaveLength(2);
  system.time += 1;
  await figure.read();
  expect(system.reads).toHaveLength(4);
});

test('is the last one while the kernel does not answer, so that a scrape ends', async () => {
  const system = new System();
  let stuck = false;
  const text = (path: string): Promise<string> => (stuck ? new Promise(() => undefined) : system.text(path));
  const figure = new MemoryFigure(withEngine(), { ...system, now: system.now, resident: system.resident, text });
  await figure.read();
  stuck = true;
  system.time = MIN_MEMORY_AGE_MS;
  expect(await figure.read()).toBe(150 * 1024);
  expect(await figure.refresh()).toBe(150 * 1024);
});

test('is the last one after the time that a scrape waits', async () => {
  const system = new System();
  const answers: (() => void)[] = [];
  let slow = false;
  const text = async (path: string): Promise<string> => {
    if (slow) await new Promise<void>((resolve) => answers.push(resolve));
    return system.text(path);
  };
  const figure = new MemoryFigure(withEngine(), { ...system, now: system.now, resident: system.resident, text });
  await figure.read();
  slow = true;
  system.files.set(ENGINE_FILE, 'Pss: 150 kB\n');
  system.time = MIN_MEMORY_AGE_MS;
  expect(await figure.read(1)).toBe(150 * 1024);
  for (const answer of answers) answer();
  expect(await figure.read(60_000)).toBe(250 * 1024);
});

test('is absent after a reading that failed, and returns', async () => {
  const system = new System();
  const figure = new MemoryFigure(withEngine(), system);
  await figure.read();
  const files = [...system.files];
  system.files.clear();
  expect(await figure.refresh()).toBeUndefined();
  for (const [name, text] of files) system.files.set(name, text);
  expect(await figure.refresh()).toBe(150 * 1024);
});

test('of this process is positive', async () => {
  expect(await new MemoryFigure(() => ({ pid: undefined, residentBytes: 0 })).read()).toBeGreaterThan(1e6);
});
