/** A drain ends within --shutdown-timeout, whatever the worker waits for. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { canBeNarrow, connectNarrow } from '../../../bench/narrow-socket.mjs';
import { embeddedModel } from '../../../src/model/folder.ts';
import { enginePid, nextEnginePid } from '../../support/cli.ts';
import { Halt } from '../../support/halt.ts';
import { endings, Listener, lastOf, longJob } from '../../support/listener.ts';
import { bulky, of, post } from '../../support/narrow.ts';
import { killAll, untilGone } from '../../support/processes.ts';
import { requestOf } from '../../support/raw.ts';
import { stopped } from '../../support/stopped-engine.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const TIMEOUT_S = 3;
const BRIEF = ['--shutdown-timeout', String(TIMEOUT_S)];
/**
 * The stages end 0.2 s before the timeout. The rest is for a machine under load, whose timers are late. Without a
 * common budget each of these drains takes at least 6 s.
 */
const LATE_MS = 2000;

afterEach(killAll);

/** The worker has ended by itself, in time, with its engine. */
async function expectInTime(worker: TestWorker, reason: string, engine?: number): Promise<void> {
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  const last = worker.lines.at(-1);
  expect(last).toMatchObject({ event: 'server.shutdown', reason });
  expect(Number(last?.['duration_ms'])).toBeLessThan(TIMEOUT_S * 1000 + LATE_MS);
  if (engine !== undefined) await untilGone(engine);
  expect(worker.stderr).toBe('');
}

describe('a silent engine', () => {
  test.each([
    ['sigterm', (worker: TestWorker) => worker.process.kill('SIGTERM')],
    ['stdin_closed', (worker: TestWorker) => worker.process.stdin?.end()],
    ['shutdown_request', (worker: TestWorker) => worker.post('/shutdown', {})],
  ] as const)('%s: the jobs get DRAINING, the engine is killed, and the worker ends', async (reason, request) => {
    const { worker, stream, engine } = await stopped(...BRIEF);
    const waiting = await Listener.open(worker, longJob('waiting'));
    await request(worker);
    for (const { ended } of [stream, waiting]) {
      const all = await ended;
      expect(endings(all)).toEqual([all.at(-1)]);
      expect(lastOf(all)).toMatchObject({ type: 'error', code: 'DRAINING', retriable: true });
    }
    expect(await worker.line('worker.draining')).toMatchObject({ reason, timeout_ms: 1500 });
    await expectInTime(worker, reason, engine);
  });

  test('with the shortest timeout', async () => {
    const { worker, engine } = await stopped('--shutdown-timeout', '1');
    const began = performance.now();
    worker.process.kill('SIGTERM');
    // All stages after the jobs have half a second. On a machine under load the worker can end without them: the
    // last lines are then lost, and the kernel ends the engine.
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(TIMEOUT_S * 1000 + LATE_MS);
    await untilGone(engine);
    expect([worker.stderr, worker.foreign]).toEqual(['', []]);
  });
});

test('an engine that opens the model', async () => {
  const worker = await startWorker({ early: true, args: BRIEF });
  const engine = await nextEnginePid(worker, -1);
  process.kill(engine, 'SIGSTOP');
  worker.process.kill('SIGTERM');
  await expectInTime(worker, 'sigterm', engine);
});

test('an engine that restarts, with a request that waits for it', async () => {
  const halt = new Halt();
  try {
    const worker = await startWorker({ args: ['--slots', '1', ...BRIEF], env: halt.env });
    const running = await Listener.open(worker, longJob('running'));
    await running.untilToken();
    const waiting = await Listener.open(worker, longJob('waiting'));
    await waiting.untilNarrated('request.queued');
    const engine = enginePid(worker);
    halt.arm();
    process.kill(engine, 'SIGKILL');
    const next = await nextEnginePid(worker, engine);
    worker.process.kill('SIGTERM');
    expect(lastOf(await waiting.ended)).toMatchObject({ type: 'error', code: 'DRAINING' });
    await expectInTime(worker, 'sigterm', next);
  } finally {
    halt.remove();
  }
});

describe.skipIf(!canBeNarrow)('a client that does not read', () => {
  test('the stream of its running job', async () => {
    const worker = await startWorker({ args: ['--slow-timeout', '600', ...BRIEF] });
    post(worker, 'deaf');
    await worker.line('generation.paused', of('deaf'));
    worker.process.kill('SIGTERM');
    await expectInTime(worker, 'sigterm');
    expect(worker.lines.find((line) => line.event === 'inference.failed')).toMatchObject({ error_kind: 'draining' });
  });

  test('the events of a finished job', async () => {
    const worker = await startWorker({ args: ['--slow-timeout', '600', ...BRIEF] });
    await worker.execute(bulky('over'));
    const socket = connectNarrow(Number(new URL(worker.url).port));
    socket.write(requestOf('GET', '/jobs/over/events'));
    await worker.line('reader.returned');
    worker.process.kill('SIGTERM');
    await expectInTime(worker, 'sigterm');
    socket.destroy();
  });
});

test('a tokenizer thread that is busy', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'backtracking-'));
  try {
    await copyBacktracking(folder);
    const worker = await startWorker({ args: ['--model', folder, ...BRIEF] });
    const order = { job_id: 'hostile', prompt: 'q'.repeat(40) };
    const both = [worker.post('/execute', order), worker.post('/execute', order)];
    // One of them is refused because the other one is being encoded.
    expect((await Promise.race(both)).status).toBe(409);
    worker.process.kill('SIGTERM');
    // The thread may reach its own limit before the end of the drain.
    const statuses = (await Promise.all(both)).map(({ status }) => status).filter((status) => status !== 409);
    expect([[503], [400]]).toContainEqual(statuses);
    await expectInTime(worker, 'sigterm');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Copies the embedded model. Its pattern needs minutes for a prompt of 40 times `q`. */
async function copyBacktracking(folder: string): Promise<void> {
  await cp(embeddedModel(), folder, { recursive: true });
  const file = join(folder, 'tokenizer.json');
  const tokenizer = JSON.parse(await readFile(file, 'utf8')) as object;
  const pattern = { Regex: '(?:q+)+b|[\\s\\S]' };
  const pretokenizers = [
    { type: 'Split', pattern, behavior: 'Isolated', invert: false },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ];
  await writeFile(file, JSON.stringify({ ...tokenizer, pre_tokenizer: { type: 'Sequence', pretokenizers } }));
}

test('a ready callback without an answer', async () => {
  const manager = createServer();
  const asked = once(manager, 'request');
  await new Promise<void>((resolve) => manager.listen(0, '127.0.0.1', resolve));
  const { port } = manager.address() as { port: number };
  const worker = await startWorker({ args: ['--callback-url', `http://127.0.0.1:${port}/`, ...BRIEF] });
  await asked;
  worker.process.kill('SIGTERM');
  await expectInTime(worker, 'sigterm');
  manager.closeAllConnections();
  manager.close();
});

test('a client that keeps its connection open after the end of the worker', async () => {
  const worker = await startWorker({ args: BRIEF });
  const { hostname, port } = new URL(worker.url);
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true }).on('error', () => undefined);
  socket.write(requestOf('GET', '/live'));
  await once(socket, 'data');
  worker.process.kill('SIGTERM');
  await expectInTime(worker, 'sigterm');
  socket.destroy();
});

test('a reader of standard output that does not read: the process ends, and one line says what is lost', async () => {
  const worker = await startWorker({ args: ['--progress-every', '1', '--slots', '2', ...BRIEF] });
  worker.process.stdout?.pause();
  await Promise.all([0, 1].map((index) => worker.execute(longJob(`job-${index}`))));
  const exited = once(worker.process, 'exit');
  worker.process.kill('SIGTERM');
  // Without the budget, the process waits 15 s for its reader.
  const late = new Promise((resolve) => setTimeout(resolve, 12_000, 'late').unref());
  expect(await Promise.race([exited, late])).toEqual([0, null]);
  worker.process.stdout?.resume();
  await worker.exited;
  expect(worker.stderr).toMatch(/^rbees-workerd: \d+ lines could not be written to standard output\n$/);
});
