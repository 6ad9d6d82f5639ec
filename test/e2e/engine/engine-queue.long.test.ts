/**
 * Queued requests survive the loss of an engine: they wait for the next one, in their order, with their own
 * deadlines.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { enginePid, nextEnginePid } from '../../support/cli.ts';
import { Halt } from '../../support/halt.ts';
import { endings, Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { all, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
let halt: Halt;
beforeEach(() => {
  halt = new Halt();
});
afterEach(async () => {
  await worker.kill();
  halt.remove();
});

const short = { max_tokens: 5, min_tokens: 5 };
/** The request with a slot fails, so that the queue is alone in the next engine. */
const FIXED = ['--slots', '1', '--stall-after', '600', '--on-engine-loss', 'fail'];

/**
 * One stream runs and these jobs wait; then the engine dies, and the next one waits before it opens the
 * model. The first engine is suspended while the jobs arrive, so that it stays busy for that time.
 */
async function lostWith(
  waiting: readonly object[],
  args: readonly string[] = [],
): Promise<{ running: Listener; queue: Listener[]; next: number }> {
  worker = await startWorker({ args: [...FIXED, ...args], env: halt.env });
  const running = await Listener.open(worker, longJob('running'));
  await running.untilToken();
  const engine = enginePid(worker);
  process.kill(engine, 'SIGSTOP');
  const queue: Listener[] = [];
  for (const [index, job] of waiting.entries()) {
    const stream = await Listener.open(worker, longJob(`waiting-${index}`, job));
    await stream.untilNarrated('prompt.tokenized');
    queue.push(stream);
  }
  halt.arm();
  process.kill(engine, 'SIGKILL');
  const next = await nextEnginePid(worker, engine);
  return { running, queue, next };
}

const codeOf = (events: readonly StreamEvent[]): unknown => lastOf(events)['code'];

test('are served by the next engine, in the order of their arrival', async () => {
  const { running, queue } = await lostWith([short, short, short]);
  expect(codeOf(await running.ended)).toBe('ENGINE_LOST');
  for (const stream of queue) await stream.untilNarrated('request.requeued');
  expect(await worker.line('engine.lost')).toMatchObject({ requests_running: 1, requests_waiting: 3 });
  expect(await (await worker.get('/health')).json()).toMatchObject({ status: 'unhealthy', queue: { length: 3 } });
  const goesOn = performance.now();
  halt.disarm();
  const firstTokens: number[] = [];
  for (const stream of queue) {
    const events = await stream.ended;
    expect(endings(events)).toEqual([events.at(-1)]);
    expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 5 });
    expect(all(events, 'token').map((token) => token['i'])).toEqual([...all(events, 'token').keys()]);
    const told = narrated(events);
    expect(told.filter((event) => event === 'request.requeued')).toHaveLength(1);
    expect(told.indexOf('cache.reset')).toBeGreaterThan(told.indexOf('request.requeued'));
    // It waited in both queues: queue_ms is the time in both.
    const reset = all(events, 'narration').find((narration) => narration['event'] === 'cache.reset');
    expect(lastOf(events)['queue_ms']).toBe(reset?.['queue_ms']);
    const cameAt = (await stream.untilNarrated('prompt.tokenized')).at;
    expect(Number(reset?.['queue_ms'])).toBeGreaterThan(goesOn - cameAt);
    firstTokens.push((await stream.untilToken()).at);
  }
  expect(firstTokens).toEqual(firstTokens.toSorted((a, b) => a - b));
  expect(await worker.stop()).toBe(0);
});

test('get the same text for the same seed as without a loss', async () => {
  const { queue } = await lostWith([{ ...short, seed: 7 }]);
  halt.disarm();
  await queue[0]?.ended;
  await worker.line('engine.restarted');
  const undisturbed = await Listener.open(worker, longJob('undisturbed', { ...short, seed: 7 }));
  await undisturbed.ended;
  expect(undisturbed.text).toBe(queue[0]?.text);
});

test('can be cancelled, can be left, and keep their deadlines while there is no engine', async () => {
  const { queue } = await lostWith([{}, {}, { timeout_ms: 4000 }, short]);
  const [cancelled, left, late, patient] = queue;
  expect((await worker.post('/cancel', { job_id: 'waiting-0' })).status).toBe(202);
  expect(codeOf((await cancelled?.ended) ?? [])).toBe('CANCELLED');
  left?.leave();
  await worker.line('reader.left', (line) => line['job_id'] === 'waiting-1');
  expect(codeOf((await late?.ended) ?? [])).toBe('TIMEOUT');
  expect(worker.lines.map((line) => line.event)).not.toContain('engine.restarted');
  halt.disarm();
  expect(lastOf((await patient?.ended) ?? [])).toMatchObject({ type: 'end', tokens_out: 5 });
  expect(await (await worker.get('/health')).json()).toMatchObject({ slots: { busy: 0 }, queue: { length: 0 } });
});

test('get ENGINE_LOST when no further engine starts', async () => {
  const { queue, next } = await lostWith([short, short]);
  process.kill(next, 'SIGKILL');
  await worker.line('engine.lost', (line) => line['requests_running'] === 0);
  const last = await nextEnginePid(worker, next);
  process.kill(last, 'SIGKILL');
  for (const stream of queue) {
    const events = await stream.ended;
    expect(endings(events)).toEqual([events.at(-1)]);
    expect(lastOf(events)).toMatchObject({ type: 'error', code: 'ENGINE_LOST', retriable: true });
  }
  expect(await worker.exited).toEqual({ code: 1, signal: null });
  const failed = worker.lines.find((line) => line.event === 'worker.failed');
  expect(failed?.['reason']).toContain('the engine was lost 3 times in ten minutes, most recently by signal SIGKILL');
  const losses = worker.lines.filter((line) => line.event === 'engine.lost');
  expect(losses.map((line) => [line['signal'], line['requests_waiting']])).toEqual([
    ['SIGKILL', 2],
    ['SIGKILL', 2],
    ['SIGKILL', 2],
  ]);
});

test('get ENGINE_LOST, without the path of the model, if the model cannot be opened again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'model-'));
  cpSync(embeddedModel(), folder, { recursive: true });
  try {
    const { queue } = await lostWith([short], ['--model', folder]);
    rmSync(folder, { recursive: true });
    halt.disarm();
    const events = (await queue[0]?.ended) ?? [];
    expect(lastOf(events)).toMatchObject({ type: 'error', code: 'ENGINE_LOST' });
    expect(JSON.stringify(events)).not.toContain(folder);
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    const losses = worker.lines.filter((line) => line.event === 'engine.lost');
    expect(losses.map((line) => String(line['reason']).includes(folder))).toEqual([false, true, true]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('get DRAINING when the worker stops before the next engine is ready', async () => {
  const { queue } = await lostWith([short], ['--shutdown-timeout', '4']);
  worker.process.kill('SIGTERM');
  await queue[0]?.untilNarrated('request.draining');
  expect(codeOf((await queue[0]?.ended) ?? [])).toBe('DRAINING');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});

test('finish in a drain if the next engine is ready in time', async () => {
  const { queue } = await lostWith([short]);
  worker.process.kill('SIGTERM');
  await queue[0]?.untilNarrated('request.draining');
  halt.disarm();
  expect(lastOf((await queue[0]?.ended) ?? [])).toMatchObject({ type: 'end', tokens_out: 5 });
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});
