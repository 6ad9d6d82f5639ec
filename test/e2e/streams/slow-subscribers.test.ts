/**
 * Clients that do not read, on sockets with small kernel buffers: their own generation pauses, and no other
 * is affected.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canBeNarrow } from '../../../bench/narrow-socket.mjs';
import { events, of, post, read } from '../../support/narrow.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** A worker with a slow-timeout longer than any test, and one with a short one. */
let [worker, hasty]: [TestWorker, TestWorker] = [undefined as never, undefined as never];
beforeAll(async () => {
  worker = await startWorker({ args: ['--slots', '2', '--slow-timeout', '600', '--shutdown-timeout', '2'] });
  hasty = await startWorker({ args: ['--slots', '2', '--slow-timeout', '4'] });
});
afterAll(() => Promise.all([worker.kill(), hasty.kill()]));

describe.skipIf(!canBeNarrow)('a client that does not read', () => {
  test('pauses its own generation, which continues to the end when the client reads', async () => {
    const socket = post(worker, 'naps');
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

  test('ends its job with SLOW_CONSUMER after --slow-timeout, and the slot is free', async () => {
    const socket = post(hasty, 'sleeps');
    await hasty.line('generation.paused', of('sleeps'));
    const failed = await hasty.line('inference.failed', of('sleeps'));
    expect(failed).toMatchObject({ error_kind: 'slow_consumer', level: 'ERROR' });
    const told = events(await read(socket));
    expect(told.at(-1)).toMatchObject({ type: 'error', code: 'SLOW_CONSUMER', retriable: true });
    await expect.poll(async () => (await hasty.get('/health')).json()).toMatchObject({ slots: { busy: 0 } });
    const replay = await (await hasty.get('/jobs/sleeps/events')).text();
    expect(events(replay)).toEqual(told);
  });
});
