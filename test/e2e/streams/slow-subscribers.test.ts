/**
 * Clients that do not read, on sockets with small kernel buffers: their own generation pauses, and no other
 * is affected.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canBeNarrow, postNarrow } from '../../../bench/narrow-socket.mjs';
import { events, of, post, read } from '../../support/narrow.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

interface Chunk {
  readonly choices: readonly { readonly index: number; readonly text: string; readonly finish_reason: string | null }[];
  readonly usage: { readonly completion_tokens: number };
}

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

  test('pauses all outputs of its job, which continue to their ends with the same texts', async () => {
    const n = 4;
    const asked = { prompt: 'The sea', n, seed: 3, max_tokens: 200, min_tokens: 200, ignore_eos: true, logprobs: 20 };
    const body = { ...asked, stream: true, stream_options: { continuous_usage_stats: true, include_usage: true } };
    const port = Number(new URL(worker.url).port);
    const socket = postNarrow(port, body, { 'X-Correlation-Id': 'several' }, '/v1/completions');
    const isOurs = (line: Readonly<Record<string, unknown>>): boolean => line['correlation_id'] === 'several';
    await worker.line('generation.paused', isOurs);
    const chunks = events(await read(socket)) as unknown as Chunk[];
    await worker.line('generation.resumed', isOurs);
    const texts = Array.from({ length: n }, () => '');
    const ended: number[] = [];
    for (const { index, text, finish_reason } of chunks.flatMap(({ choices }) => choices)) {
      texts[index] += text;
      if (finish_reason !== null) ended.push(index);
    }
    expect(ended.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: n * 200 } });
    const counts = chunks.map(({ usage }) => usage.completion_tokens);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    const { choices } = (await (await worker.post('/v1/completions', asked)).json()) as Chunk;
    expect(texts).toEqual(choices.map(({ text }) => text));
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
