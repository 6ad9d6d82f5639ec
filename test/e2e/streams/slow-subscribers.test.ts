/**
 * Clients that do not read, on sockets with small kernel buffers: their own generation pauses, and no other
 * is affected.
 */
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canBeNarrow, postNarrow } from '../../../bench/narrow-socket.mjs';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** A worker with a slow-timeout longer than any test, and one with a short one. */
let [worker, hasty]: [TestWorker, TestWorker] = [undefined as never, undefined as never];
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '2', '--slow-timeout', '600', '--shutdown-timeout', '2'] });
  hasty = await startWorker({ args: ['--slots', '2', '--slow-timeout', '4'] });
});
afterAll(() => Promise.all([worker.kill(), hasty.kill()]));

/** 480 tokens with 20 log-probabilities each: more than a client may leave unread. */
const bulky = (id: string, more: object = {}): object => longJob(id, { logprobs: 20, ...more });
const post = (id: string, more: object = {}, to = worker): Socket =>
  postNarrow(Number(new URL(to.url).port), bulky(id, more), { 'X-Correlation-Id': `req-${id}` });

/** Reads an answer of a raw socket to its end and removes the chunk sizes. */
async function read(socket: Socket): Promise<string> {
  let raw = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    raw += chunk;
    if (raw.endsWith('\r\n0\r\n\r\n')) break;
  }
  return raw.replace(/\r\n[0-9a-f]+\r\n/g, '');
}
const events = (raw: string): Record<string, unknown>[] =>
  [...raw.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json ?? ''));
const of = (job: string) => (line: Readonly<Record<string, unknown>>) => line['job_id'] === job;

describe.skipIf(!canBeNarrow)('a client that does not read', () => {
  test('pauses its own generation, which continues to the end when the client reads', async () => {
    const socket = post('naps');
    const paused = await worker.line('generation.paused', of('naps'));
    expect(Number(paused['unread_bytes'])).toBeLessThan(256 * 1024);
    expect(await (await worker.get('/health')).json()).toMatchObject({ slots: { busy: 1 } });
    const told = events(await read(socket));
    const tokens = told.filter(({ type }) => type === 'token');
    expect(tokens.map(({ i }) => i)).toEqual(tokens.map((_, index) => index));
    expect(told.at(-1)).toMatchObject({ type: 'end', tokens_out: 480, shed: expect.any(Number) });
    const lines = (await worker.told('req-naps')).map(({ event }) => event);
    expect(lines).toContain('reader.slow');
    expect(lines).toContain('generation.resumed');
    const shed = told.map((data) => (data['type'] === 'narration' ? Number(data['shed'] ?? 0) : 0));
    expect(shed.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  });

  test('gets the same text as a client that reads', async () => {
    const socket = post('slow-text', { seed: 7 });
    await worker.line('generation.paused', of('slow-text'));
    const slow = events(await read(socket)).map(({ t }) => t ?? '');
    const quick = await worker.execute(bulky('quick-text', { seed: 7 }));
    expect(slow.join('')).toBe(quick.map(({ data }) => data['t'] ?? '').join(''));
  });

  test('keeps its slot, and another job runs to its end beside it', async () => {
    const socket = post('holds');
    await worker.line('generation.paused', of('holds'));
    const other = await worker.execute(longJob('beside'));
    expect(lastOf(other)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(worker.lines.filter((line) => line.event === 'generation.resumed' && of('holds')(line))).toEqual([]);
    socket.destroy();
    await worker.line('reader.left', of('holds'));
  });

  test('ends its job with SLOW_CONSUMER after --slow-timeout, and the slot is free', async () => {
    const socket = post('sleeps', {}, hasty);
    await hasty.line('generation.paused', of('sleeps'));
    const failed = await hasty.line('inference.failed', of('sleeps'));
    expect(failed).toMatchObject({ error_kind: 'slow_consumer', level: 'ERROR' });
    const told = events(await read(socket));
    expect(told.at(-1)).toMatchObject({ type: 'error', code: 'SLOW_CONSUMER', retriable: true });
    await expect.poll(async () => (await hasty.get('/health')).json()).toMatchObject({ slots: { busy: 0 } });
    const replay = await (await hasty.get('/jobs/sleeps/events')).text();
    expect(events(replay)).toEqual(told);
  });

  test('can be stopped while it is paused: by a cancel, and by its deadline', async () => {
    const [cancelled, late] = [post('cancelled'), post('late', { timeout_ms: 1500 })];
    await worker.line('generation.paused', of('cancelled'));
    await worker.post('/cancel', { job_id: 'cancelled' });
    expect(events(await read(cancelled)).at(-1)).toMatchObject({ code: 'CANCELLED' });
    await worker.line('inference.failed', of('late'));
    expect(events(await read(late)).at(-1)).toMatchObject({ code: 'TIMEOUT' });
  });

  test('is disconnected from a job that continues, and can come back', async () => {
    const socket = post('goes-on', { on_disconnect: 'continue' }, hasty);
    await hasty.line('reader.dropped', of('goes-on'));
    const back = await Listener.attach(hasty, 'goes-on');
    expect(lastOf(await back.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(back.events.map(({ id }) => Number(id))).toEqual(back.events.map((_, index) => index));
    socket.destroy();
  });

  test('does not prevent the worker from stopping', async () => {
    const socket = post('last');
    await worker.line('generation.paused', of('last'));
    expect(await worker.stop()).toBe(0);
    expect(worker.lines.find((line) => line.event === 'inference.failed' && of('last')(line))).toMatchObject({
      error_kind: 'draining',
    });
    socket.destroy();
  });
});
