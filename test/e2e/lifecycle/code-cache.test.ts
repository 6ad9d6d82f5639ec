/**
 * The compiled code of a build: used if valid; ignored, without an error, if damaged, of another version or
 * refused by V8; written again by a worker.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { killAll } from '../../support/processes.ts';
import { all, CLI, startWorker } from '../../support/worker.ts';

const ROOT = dirname(dirname(CLI));
const VERSION = `${process.version}-${process.platform}-${process.arch}`;
/** A part of the sentence of `warmup.done`, and a text of the same length. V8 compares only the length. */
const [OLD, NEW] = ['Engine warmed up in', 'Engine WARMED up in'];

let root: string;
let scripts: string;
let cache: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'build-'));
  for (const name of ['package.json', 'openapi.yaml', 'openapi.json']) cpSync(join(ROOT, name), join(root, name));
  for (const name of ['models', 'node_modules']) symlinkSync(join(ROOT, name), join(root, name));
  cpSync(join(ROOT, 'dist'), join(root, 'dist'), { recursive: true });
  scripts = join(root, 'dist', 'bundle');
  cache = join(scripts, 'cache', VERSION);
  for (const name of readdirSync(dirname(cache)))
    if (name !== VERSION) rmSync(join(dirname(cache), name), { recursive: true });
  // Another version of Node.js than that of the build has none yet.
  if (!existsSync(join(cache, 'cli'))) await sentence();
});
afterEach(async () => {
  await killAll();
  rmSync(root, { recursive: true });
});

const start = (env: Readonly<Record<string, string>> = {}) => startWorker({ cli: join(root, 'dist', 'cli.js'), env });

/** Starts a worker, gets one answer, and stops it. Returns the sentence of `warmup.done`. */
async function sentence(env?: Readonly<Record<string, string>>): Promise<string> {
  const worker = await start(env);
  const events = await worker.execute({ job_id: 'job', prompt: 'Hello', max_tokens: 2 });
  expect(all(events, 'end')).toMatchObject([{ tokens_out: 2 }]);
  expect(await worker.stop()).toBe(0);
  expect(worker.stderr).toBe('');
  return (await worker.line('warmup.done')).human;
}

/** Changes the sentence in the scripts, but not in the compiled code. */
function changeScripts(): void {
  for (const name of readdirSync(scripts).filter((file) => file.endsWith('.cjs'))) {
    const file = join(scripts, name);
    const text = readFileSync(file, 'latin1');
    if (text.includes(OLD)) writeFileSync(file, text.replaceAll(OLD, NEW));
  }
}

test('a valid cache is used, and a cache that V8 refuses is not', async () => {
  changeScripts();
  expect(await sentence()).toContain(OLD);
  // Another flag of V8, and code for other flags is refused.
  expect(await sentence({ NODE_OPTIONS: '--interpreted-frames-native-stack' })).toContain(NEW);
  expect(await sentence()).toContain(OLD);
});

test('a damaged cache is not used, and the next worker writes another one', async () => {
  changeScripts();
  for (const name of readdirSync(join(cache, 'cli'))) {
    const file = join(cache, 'cli', name);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x55;
    writeFileSync(file, bytes);
  }
  expect(await sentence()).toContain(NEW);
  expect(existsSync(join(cache, 'cli'))).toBe(false);
  expect(await sentence()).toContain(NEW);
  expect(readdirSync(join(cache, 'cli')).length).toBeGreaterThan(5);
  expect(await sentence()).toContain(NEW);
});

test('the cache of another version of Node.js is not used, and stays', async () => {
  changeScripts();
  const other = join(scripts, 'cache', 'v18.0.0-linux-x64');
  renameSync(cache, other);
  expect(await sentence()).toContain(NEW);
  expect(readdirSync(join(scripts, 'cache')).toSorted()).toEqual([VERSION, 'v18.0.0-linux-x64'].toSorted());
  expect(readdirSync(cache).toSorted()).toEqual(['cli', 'engine']);
});

test('workers that start at once without a cache write one', async () => {
  rmSync(cache, { recursive: true });
  await Promise.all([1, 2, 3].map(() => sentence()));
  expect(readdirSync(cache).toSorted()).toEqual(['cli', 'engine']);
});

test('a build whose cache cannot be written works', async () => {
  rmSync(join(scripts, 'cache'), { recursive: true });
  writeFileSync(join(scripts, 'cache'), 'a file in the place of the folder');
  await sentence();
  await sentence();
  expect(readFileSync(join(scripts, 'cache'), 'utf8')).toContain('a file');
});

test('a worker that never became ready writes no cache', async () => {
  rmSync(cache, { recursive: true });
  const worker = await startWorker({ cli: join(root, 'dist', 'cli.js'), args: ['--model', '/none'], early: true });
  expect((await worker.exited).code).toBe(1);
  expect(existsSync(cache)).toBe(false);
});
