/**
 * The last output of an engine before it dies: the log line of the loss has its last 8 KiB, cut between words,
 * without secrets.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/**
 * Loaded into the engine process before its own code: at SIGUSR2 it writes much to stderr, as native code
 * would, and exits.
 */
const DYING = `
if (process.argv[1]?.includes('process.')) process.on('SIGUSR2', () => {
  const { writeSync } = require('node:fs');
  // The pipe may be full: native code waits then.
  const say = (fd, text) => {
    for (;;) {
      try {
        return writeSync(fd, text);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
      }
    }
  };
  for (let line = 1; line <= 2000; line += 1) say(2, 'frame ' + line + ' of the stack\\n');
  say(1, 'a word on standard output\\n');
  say(2, 'api_key=honeycomb-42\\nterminate called: the last word\\n');
  process.exit(7);
});`;

let worker: TestWorker;
const folder = mkdtempSync(join(tmpdir(), 'last-words-'));
afterEach(async () => {
  await worker.kill();
  rmSync(folder, { recursive: true });
});

test('are the end of its standard error, 8 KiB of it', async () => {
  const script = join(folder, 'dying.cjs');
  writeFileSync(script, DYING);
  worker = await startWorker({ env: { NODE_OPTIONS: `--require=${script}` } });
  process.kill(enginePid(worker), 'SIGUSR2');
  const lost = await worker.line('engine.lost');
  expect(lost).toMatchObject({ exit_code: 7, reason: 'exit code 7' });
  const tail = String(lost['stderr_tail']);
  expect(tail.endsWith('frame 2000 of the stack api_key=[REDACTED] terminate called: the last word')).toBe(true);
  expect(tail.length).toBeGreaterThan(8000);
  expect(tail.length).toBeLessThanOrEqual(8 * 1024 + 16);
  expect(tail).toMatch(/^(of the stack|the stack|stack|\d+ of the stack|frame) /);
  expect(tail).not.toContain('standard output');
  expect(worker.stdout).not.toContain('honeycomb-42');
  await worker.line('engine.restarted');
  // Much output of the runtime does not make many lines.
  expect(worker.lines.filter((line) => line.event === 'engine.warning').length).toBeLessThanOrEqual(20);
});
