/**
 * A prompt of several chunks: its progress, a cancel within it, and the same text as for a prompt in one
 * chunk.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Listener, lastOf } from '../../support/listener.ts';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const PROMPT = 'The moon over the sea, a heron in the reeds, and rain that walks the hills. '.repeat(10);

describe('a long prompt', () => {
  let worker: TestWorker;
  let whole: TestWorker;
  beforeAll(async () => {
    const args = ['--slots', '1', '--speculation', 'off'];
    [worker, whole] = await Promise.all([
      startWorker({ args: [...args, '--prefill-chunk', '16'] }),
      startWorker({ args }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([worker.kill(), whole.kill()]);
  });

  test('reports done, total and estimated time, chunk by chunk', async () => {
    const events = await worker.execute({ job_id: 'told', prompt: PROMPT, raw: true, max_tokens: 2 });
    const progress = all(events, 'narration').filter(({ event }) => event === 'prefill.progress');
    const total = Number(lastOf(events)['tokens_in']);
    expect(total).toBeGreaterThan(150);
    expect(progress.map((each) => each['tokens_done'])).toEqual(
      Array.from({ length: progress.length }, (_, index) => 16 * (index + 1)),
    );
    expect(16 * (progress.length + 1)).toBeGreaterThanOrEqual(total);
    for (const each of progress) {
      expect(each['tokens_total']).toBe(total);
      expect(each['eta_ms']).toBeGreaterThan(0);
    }
  });

  test('gives the text that it gives in one chunk', async () => {
    const asked = { prompt: `Now ${PROMPT}`, raw: true, max_tokens: 40, seed: 3, temperature: 0.8 };
    const inChunks = await worker.execute({ job_id: 'chunks', ...asked });
    const atOnce = await whole.execute({ job_id: 'once', ...asked });
    expect(textOf(inChunks)).toBe(textOf(atOnce));
    expect(textOf(inChunks).length).toBeGreaterThan(10);
  });

  test('can be cancelled within it, and the next request gets the slot', async () => {
    const engine = enginePid(worker);
    const asked = { prompt: `Then ${PROMPT}`, raw: true, max_tokens: 200, min_tokens: 200 };
    const stream = await Listener.open(worker, { job_id: 'stopped', ...asked });
    await stream.untilNarrated('prefill.progress');
    // The engine is suspended until the worker has the cancel: a busy machine could compute all tokens before.
    process.kill(engine, 'SIGSTOP');
    await worker.post('/cancel', { job_id: 'stopped' });
    process.kill(engine, 'SIGCONT');
    const events = await stream.ended;
    expect(lastOf(events)).toMatchObject({ type: 'error', code: 'CANCELLED' });
    const next = await worker.execute({ job_id: 'next', prompt: 'The sea', max_tokens: 4, min_tokens: 4 });
    expect(lastOf(next)).toMatchObject({ type: 'end', tokens_out: 4 });
  });
});
