/** A job with many outputs and one slot: other jobs beside it, and the estimates for refused jobs. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { type Completions, readCompletions } from '../../support/completions.ts';
import { eventually } from '../../support/eventually.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** Streams completions of one prompt, with fixed lengths. */
async function complete(worker: TestWorker, n: number, tokens: number): Promise<Completions['pieces']> {
  const body = { prompt: 'The sea', n, max_tokens: tokens, min_tokens: tokens, ignore_eos: true, stream: true };
  const response = await worker.post('/v1/completions', body);
  expect(response.status).toBe(200);
  return readCompletions(response).pieces;
}

/** The details of the error of a refused job. */
async function refusal(worker: TestWorker): Promise<Record<string, number>> {
  return detailsOf(await worker.post('/execute', longJob('refused')));
}

async function detailsOf(response: Response): Promise<Record<string, number>> {
  expect(response.status).toBe(503);
  const { error } = (await response.json()) as { error: { code: string; details: Record<string, number> } };
  expect(error.code).toBe('ALL_SLOTS_BUSY');
  const { retry_after_ms: retry = 0 } = error.details;
  expect(Number(response.headers.get('retry-after'))).toBe(Math.max(1, Math.ceil(retry / 1000)));
  return error.details;
}

describe('without a queue', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '0', '--stall-after', '600'] });
  });
  afterAll(() => worker.kill());

  /** The estimates for a refused job while a job with `n` outputs computes its first ones. */
  async function estimates(n: number): Promise<Record<string, number>> {
    for (;;) {
      for await (const { ended } of await complete(worker, n, 100)) {
        if (ended) continue;
        // A suspended engine sends no reports. There is no estimate between two outputs.
        process.kill(enginePid(worker), 'SIGSTOP');
        const response = await worker.post('/execute', longJob('refused'));
        process.kill(enginePid(worker), 'SIGCONT');
        if (response.status === 200) {
          // All outputs had ended before the engine was suspended.
          await worker.post('/cancel', { job_id: 'refused' });
          await response.text();
          break;
        }
        const details = await detailsOf(response);
        if (details['expected_wait_ms'] !== undefined) return details; // leaves the stream: the job is cancelled
      }
    }
  }

  const accepted = () =>
    eventually(async () => {
      const job = await worker.execute({ job_id: 'accepted', prompt: 'The sea', max_tokens: 100, min_tokens: 100 });
      expect(lastOf(job).type).toBe('end');
    });

  test('a refused job is asked to come back after all outputs of the running job', async () => {
    await accepted(); // From now on, the engine knows the length of an output.
    // An estimate follows the speed of the machine, which can change between the two.
    await eventually(async () => {
      const one = await estimates(1);
      await accepted();
      const many = await estimates(16);
      for (const details of [one, many]) expect(details['expected_wait_ms']).toBe(details['retry_after_ms']);
      await accepted();
      expect(many['retry_after_ms']).toBeGreaterThan(4 * Number(one['retry_after_ms']));
    });
  });
});

describe('with a queue of one', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--queue', '1'] });
  });
  afterAll(() => worker.kill());

  test('a job that waits gets the next free slot; its place is the only one', async () => {
    const outputs = 16;
    const progress = await complete(worker, outputs, 20);
    await progress.next();
    const second = await Listener.open(worker, longJob('second', { max_tokens: 200, min_tokens: 200 }));
    await second.untilToken();
    // The second job has the only slot; the first job waits with one sequence, however many outputs it has.
    const details = await refusal(worker);
    expect(details).toMatchObject({ slots_busy: 1, queue_length: 1, queue_limit: 1 });
    expect(lastOf(await second.ended)).toMatchObject({ type: 'end', tokens_out: 200 });
    const ended: number[] = [];
    for await (const piece of progress) if (piece.ended) ended.push(piece.index);
    expect(ended).toEqual(Array.from({ length: outputs }, (_, index) => index));
  });
});
