/** Errors of a worker as the client throws them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RefusedError, type Run, WorkerClient } from '../../../src/client/client.ts';
import { eventually } from '../../support/eventually.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const SHORT = { prompt: 'The sea', max_tokens: 5, min_tokens: 5 };
const LONG = { prompt: 'The sea', max_tokens: 450, min_tokens: 450 };
/** For a job behind the last one of the test before, whose slot may not be free yet. */
const PATIENT = { acceptWithinMs: 120_000 };
const TOKEN = 'a-long-secret-of-this-test';

let worker: TestWorker;
let client: WorkerClient;
beforeAll(async () => {
  worker = await startWorker({
    args: ['--slots', '1', '--queue', '0', '--replay-ttl', '1', '--api-token', TOKEN],
  });
  client = new WorkerClient({ url: worker.url, apiToken: TOKEN });
});
afterAll(() => worker.stop());

/** The error of a run that the worker refuses. */
async function refusalOf(run: Run): Promise<RefusedError> {
  const error = await run.text().catch((thrown: unknown) => thrown);
  if (error instanceof RefusedError) return error;
  throw new Error(`not a refusal: ${error}`);
}

describe('a refusal', () => {
  test('for a missing token', async () => {
    const stranger = new WorkerClient({ url: worker.url });
    expect(await refusalOf(stranger.execute(SHORT))).toMatchObject({
      status: 401,
      code: 'UNAUTHORIZED',
      retry: 'never',
    });
    await expect(stranger.health()).rejects.toMatchObject({ name: 'RefusedError', code: 'UNAUTHORIZED' });
    await expect(stranger.jobs()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    await expect(stranger.metrics()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('for an invalid request has all violations', async () => {
    const error = await refusalOf(client.execute({ prompt: 'x', max_tokens: 0, top_p: 2 }));
    expect(error).toMatchObject({ status: 400, code: 'INVALID_REQUEST', retriable: false });
    expect(error.violations.map(({ field }) => field).sort()).toEqual(['max_tokens', 'top_p']);
  });

  test('for a job that nobody knows', async () => {
    expect(await refusalOf(client.attach('nobody'))).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    await expect(client.cancel('nobody')).rejects.toMatchObject({ status: 404, code: 'NOT_FOUND' });
  });

  test('after --replay-ttl, when the events of the job are gone', async () => {
    const run = client.execute({ ...SHORT, job_id: 'old' }, PATIENT);
    await run.end();
    await eventually(async () => {
      const error = await client
        .attach('old')
        .text()
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'RefusedError', status: 410, code: 'GONE' });
    });
  });

  test('while all slots are busy has the time of the next try', async () => {
    const first = client.execute(LONG, PATIENT);
    for await (const event of first) {
      if (event.type !== 'started') continue;
      const error = await refusalOf(client.execute(SHORT));
      expect(error).toMatchObject({ status: 503, code: 'ALL_SLOTS_BUSY', retry: 'here' });
      expect(error.retryAfterMs).toBeGreaterThan(0);
      expect(error.details).toMatchObject({ slots_total: 1, slots_busy: 1 });
      break;
    }
  });

  test('is waited out with acceptWithinMs', async () => {
    const first = client.execute(LONG, PATIENT);
    const began = await firstEvent(first);
    expect(began).toBe('started');
    const statuses: number[] = [];
    const counting: typeof fetch = async (...call) => {
      const response = await fetch(...call);
      statuses.push(response.status);
      return response;
    };
    const second = new WorkerClient({ url: worker.url, apiToken: TOKEN, fetch: counting }).execute(SHORT, PATIENT);
    const [end, waited] = await Promise.all([first.end(), second.end()]);
    expect([end.tokens_out, waited.tokens_out]).toEqual([450, 5]);
    expect([statuses[0], statuses.at(-1)]).toEqual([503, 200]);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  });

  test('is not waited for longer than acceptWithinMs', async () => {
    const first = client.execute(LONG, PATIENT);
    await firstEvent(first);
    expect(await refusalOf(client.execute(SHORT, { acceptWithinMs: 1 }))).toMatchObject({ code: 'ALL_SLOTS_BUSY' });
    await first.cancel();
    await expect(first.text()).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test('of a wait that is aborted ends with the reason', async () => {
    const first = client.execute(LONG, PATIENT);
    await firstEvent(first);
    const controller = new AbortController();
    const second = client.execute(SHORT, { ...PATIENT, signal: controller.signal });
    const failed = expect(second.text()).rejects.toThrow('no longer');
    controller.abort(new Error('no longer'));
    await failed;
    await first.cancel();
    await expect(first.text()).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  test('for a deadline that has passed', async () => {
    const error = await refusalOf(client.execute(SHORT, { deadline: new Date(Date.now() - 1000) }));
    expect(error).toMatchObject({ status: 504, code: 'TIMEOUT' });
  });
});

/** The type of the first event. The run keeps running: `end` or `cancel` follows. */
async function firstEvent(run: Run): Promise<string> {
  void run.end().catch(() => undefined);
  for await (const { type } of run) return type;
  return 'none';
}
