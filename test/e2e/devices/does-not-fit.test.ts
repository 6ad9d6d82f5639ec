/** A model that does not fit into the memory: the settings that fit are on every output, within its first 100 characters. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { makeWideModel } from '../../support/wide-model.ts';

const MEMORY = /use --cache-memory \d+: the model needs [\d.]+ [GT]B on cpu \(weights 3\.52 MB, .*\), and .* are free/;
const CONTEXT = 1_048_576;
/** More memory than the machine has. */
const TOO_LARGE = ['--slots', '256', '--context', `${CONTEXT}`, '--cache-memory', '16777216'];

let wide: string;
let folder: string;
/** The embedded model with a configuration for a context of a million tokens. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'does-not-fit-'));
  wide = join(folder, `a-model-with-a-name-that-is-much-longer-than-the-room-for-it-in-a-sentence`);
  await makeWideModel(wide, CONTEXT);
});
afterAll(() => rm(folder, { recursive: true }));

const start = (...args: string[]) => runCli([...args, '--model', wide, ...TOO_LARGE, '--port', '0']);

test('the log in JSON has the remedy in the sentence, and the whole reason as a fact', async () => {
  const { code, stdout } = await start('serve');
  expect(code).toBe(1);
  const lines = stdout.trim().split('\n');
  const failed = lines
    .map((line) => JSON.parse(line) as Record<string, string>)
    .find(({ event }) => event === 'model.load_failed');
  expect(failed?.['level']).toBe('FATAL');
  expect(failed?.['human']?.slice(0, 100)).toMatch(/use --cache-memory \d+: /);
  expect(failed?.['human']?.length).toBeLessThanOrEqual(300);
  expect(failed?.['reason']).toMatch(MEMORY);
});

test('the log for people has the whole reason', async () => {
  const { code, stdout } = await start('serve', '--log-format', 'pretty');
  expect(code).toBe(1);
  const line = stdout.split('\n').find((one) => one.includes(' FATAL '));
  expect(line).toMatch(MEMORY);
});

test('ask prints the whole reason', async () => {
  const { code, stdout, stderr } = await runCli(['ask', 'Hello', '--', ...['--model', wide, ...TOO_LARGE]]);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(MEMORY);
});

test('a value that is wrong and long does not hide the allowed values', async () => {
  const long = 'x'.repeat(20_000);
  for (const args of [['--slots', long], ['--device', long], [`--${long}`], [long], ['--host', long]]) {
    const { code, stderr } = await runCli(args);
    expect(code).toBe(2);
    expect(stderr.slice(0, 900)).toMatch(/allowed: |--help-all lists all settings|requires --api-token/);
  }
});

test('a context that is too long is answered with the longest one', async () => {
  const { stdout } = await runCli(['--port', '0', '--context', '99999']);
  expect(stdout).toContain('Model loader cannot open haiku: use --context 512 or less: ');
});
