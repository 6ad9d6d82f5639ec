/** Clients that do not read: the text, the slot, and the end of their jobs by a cancel, a deadline or a drain. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canBeNarrow } from '../../../bench/narrow-socket.mjs';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { bulky, events, of, post, read } from '../../support/narrow.ts';
import { numberOf, startWorker, type TestWorker } from '../../support/worker.ts';

/** A worker with a slow-timeout longer than any test, and one with a short one. */
let [worker, hasty]: [TestWorker, TestWorker] = [undefined as never, undefined as never];
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '2', '--slow-timeout', '600', '--shutdown-timeout', '2'] });
  hasty = await startWorker({ args: ['--slots', '2', '--slow-timeout', '4'] });
});
afterAll(() => Promise.all([worker.kill(), hasty.kill()]));

describe.skipIf(!canBeNarrow)('a client that does not read', () => {
  test('gets the same text as a client that reads', async () => {
    const socket = post(worker, 'slow-text', { seed: 7 });
    await worker.line('generation.paused', of('slow-text'));
    const slow = events(await read(socket)).map(({ t }) => t ?? '');
    const quick = await worker.execute(bulky('quick-text', { seed: 7 }));
    expect(slow.join('')).toBe(quick.map(({ data }) => data['t'] ?? '').join(''));
  });

  test('keeps its slot, and another job runs to its end beside it', async () => {
    const socket = post(worker, 'holds');
    await worker.line('generation.paused', of('holds'));
    const other = await worker.execute(longJob('beside'));
    expect(lastOf(other)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(worker.lines.filter((line) => line.event === 'generation.resumed' && of('holds')(line))).toEqual([]);
    socket.destroy();
    await worker.line('reader.left', of('holds'));
  });

  test('can be stopped while it is paused: by a cancel, and by its deadline', async () => {
    const [cancelled, late] = [post(worker, 'cancelled'), post(worker, 'late', { timeout_ms: 1500 })];
    await worker.line('generation.paused', of('cancelled'));
    await worker.post('/cancel', { job_id: 'cancelled' });
    expect(events(await read(cancelled)).at(-1)).toMatchObject({ code: 'CANCELLED' });
    await worker.line('inference.failed', of('late'));
    expect(events(await read(late)).at(-1)).toMatchObject({ code: 'TIMEOUT' });
  });

  test('is disconnected from a job that continues, and can come back', async () => {
    const socket = post(hasty, 'goes-on', { on_disconnect: 'continue' });
    await hasty.line('reader.dropped', of('goes-on'));
    const back = await Listener.attach(hasty, 'goes-on');
    expect(lastOf(await back.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(back.events.map(numberOf)).toEqual(back.events.map((_, index) => index));
    socket.destroy();
  });

  test('does not prevent the worker from stopping', async () => {
    const socket = post(worker, 'last');
    await worker.line('generation.paused', of('last'));
    expect(await worker.stop()).toBe(0);
    expect(worker.lines.find((line) => line.event === 'inference.failed' && of('last')(line))).toMatchObject({
      error_kind: 'draining',
    });
    socket.destroy();
  });
});
