/** Runs that are aborted, left or cancelled: no job stays behind that nobody reads. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { JobError, type Run, type StreamEvent, WorkerClient } from '../../../src/client/client.ts';
import { type Faults, FaultyProxy } from '../../support/client/faulty-proxy.ts';
import { eventually } from '../../support/eventually.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const LONG = { prompt: 'The sea', temperature: 1, seed: 7, max_tokens: 450, min_tokens: 450 };

let worker: TestWorker;
let proxy: FaultyProxy;
let client: WorkerClient;
beforeAll(async () => {
  // A job without a reader ends by a cancel only.
  worker = await startWorker({ args: ['--slots', '2', '--detach-timeout', '3600'] });
});
afterAll(() => worker.stop());
beforeEach(() => connect());
afterEach(() => proxy.close());

/** A client behind a proxy of its own. */
async function connect(faults: Faults = {}): Promise<void> {
  proxy = await FaultyProxy.start(worker.url, faults);
  client = new WorkerClient({ url: proxy.url });
}

/** Reads until the first token, calls `then`, and reads on. Returns the types of all events. */
async function atFirstToken(run: Run, then: () => unknown): Promise<StreamEvent['type'][]> {
  const types: StreamEvent['type'][] = [];
  for await (const { type } of run) {
    types.push(type);
    if (type === 'token' && types.filter((one) => one === 'token').length === 1) await then();
  }
  return types;
}

const cancelled = (jobId: string) => worker.line('request.cancelled', (line) => line['job_id'] === jobId);

describe('an abort', () => {
  test('before the first read sends nothing', async () => {
    const run = client.execute(LONG, { signal: AbortSignal.abort(new Error('too late')) });
    await expect(run.text()).rejects.toThrow('too late');
    await expect(run.end()).rejects.toThrow('too late');
    expect(proxy.seen).toEqual([]);
  });

  test('in the middle ends the run with its reason, and cancels the job', async () => {
    const controller = new AbortController();
    const run = client.execute(LONG, { signal: controller.signal });
    const reading = atFirstToken(run, () => controller.abort(new Error('enough')));
    await expect(reading).rejects.toThrow('enough');
    await cancelled(run.jobId);
  });

  test('after the end changes nothing', async () => {
    const controller = new AbortController();
    const run = client.execute({ ...LONG, min_tokens: 5, max_tokens: 5 }, { signal: controller.signal });
    const text = await run.text();
    controller.abort();
    expect(await run.text()).toBe(text);
    expect(proxy.seen).toEqual(['POST /execute']);
  });

  test('between the POST and its answer leaves no job', async () => {
    // At many moments: before the request leaves, on its way, while the worker reads it, after the answer.
    for (let turn = 0; turn < 40; turn += 1) {
      const controller = new AbortController();
      const run = client.execute({ ...LONG, job_id: `early-${turn}` }, { signal: controller.signal });
      const reading = run.text();
      const failed = expect(reading).rejects.toThrow('enough');
      for (let step = 0; step < turn; step += 1) await new Promise(setImmediate);
      controller.abort(new Error('enough'));
      await failed;
    }
    await eventually(async () => {
      const { totals } = await client.jobs();
      expect([totals.waiting, totals.running, totals.stopping]).toEqual([0, 0, 0]);
    });
  });

  test('while the answer of the POST is stalled cancels the job as soon as the answer is lost', async () => {
    await proxy.close();
    await connect({ stallAfter: [0] });
    const controller = new AbortController();
    const run = client.execute(LONG, { signal: controller.signal, silenceMs: 100 });
    const failed = expect(run.text()).rejects.toThrow('enough');
    await worker.line('request.validated', (line) => line['job_id'] === run.jobId);
    controller.abort(new Error('enough'));
    await failed;
    await cancelled(run.jobId);
  });

  test('of an attached run does not cancel the job', async () => {
    const run = client.execute({ ...LONG, job_id: 'shared' });
    const controller = new AbortController();
    const types = await atFirstToken(run, async () => {
      const other = client.attach('shared', { signal: controller.signal });
      await expect(atFirstToken(other, () => controller.abort(new Error('bye')))).rejects.toThrow('bye');
    });
    expect(types.at(-1)).toBe('end');
  });
});

describe('a loop that is left', () => {
  test('cancels the job', async () => {
    const run = client.execute(LONG);
    for await (const event of run) if (event.type === 'token') break;
    expect((await client.jobs()).jobs.find(({ job_id }) => job_id === run.jobId)?.state).not.toBe('running');
    await cancelled(run.jobId);
    await expect(run.text()).rejects.toThrow('The run was left before its end.');
  });

  test('does not cancel a job with on_disconnect "continue"', async () => {
    const run = client.execute({ ...LONG, on_disconnect: 'continue' });
    for await (const event of run) if (event.type === 'token') break;
    const rest = client.attach(run.jobId, { after: run.lastEventId });
    expect((await rest.end()).tokens_out).toBe(LONG.max_tokens);
  });

  test('does not cancel a job that another loop of the run still reads', async () => {
    const run = client.execute(LONG);
    const whole = run.end();
    for await (const event of run) if (event.type === 'token') break;
    expect((await whole).tokens_out).toBe(LONG.max_tokens);
  });
});

describe('cancel', () => {
  test('ends the stream with CANCELLED', async () => {
    const run = client.execute(LONG);
    const types = await atFirstToken(run, () => run.cancel());
    expect(types.at(-1)).toBe('error');
    await expect(run.text()).rejects.toBeInstanceOf(JobError);
    await expect(run.text()).rejects.toMatchObject({ code: 'CANCELLED', retry: 'never' });
  });

  test('before the first read sends nothing', async () => {
    const run = client.execute(LONG);
    await run.cancel();
    await expect(run.text()).rejects.toMatchObject({ name: 'AbortError' });
    expect(proxy.seen).toEqual([]);
  });

  test('beside the POST reaches the job', async () => {
    const run = client.execute(LONG);
    const reading = run.text();
    const failed = expect(reading).rejects.toThrow();
    await run.cancel();
    await failed;
    await eventually(async () => expect((await client.jobs()).totals).toMatchObject({ waiting: 0, running: 0 }));
  });

  test('of a job that has ended is no error', async () => {
    const run = client.execute({ ...LONG, min_tokens: 5, max_tokens: 5 });
    await run.end();
    await run.cancel();
    expect((await run.end()).tokens_out).toBe(5);
  });
});
