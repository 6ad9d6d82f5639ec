/** Admission without HTTP: which orders become jobs, the errors of the others, and their retry times. */
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { WorkerError } from '../../src/contract/errors.ts';
import { sseEncoder } from '../../src/http/sse.ts';
import { Admission, type AdmissionParts, STOPPING_MS } from '../../src/jobs/admission.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { GenerationOrder } from '../../src/jobs/order.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { WorkerState } from '../../src/lifecycle/state.ts';
import { capture } from '../../src/narration/narrate.ts';
import { FakeSocket, fakeModel, idleMetrics } from '../support/fakes.ts';

const config = { ...readConfig([], {}), queue: 1 };

function setUp(
  phase: 'starting' | 'ready' | 'engine_lost' | 'draining',
  engine: Partial<AdmissionParts['engine']> = {},
  { context = 64, refusal, ...settings }: { context?: number; maxTokensCap?: number; refusal?: Error } = {},
) {
  const state = new WorkerState();
  state.enter(phase);
  const jobs = new JobRegistry({ ttlMs: 1000, bytes: 1e6 });
  const occupancy = { busy: 0, waiting: 0, tokens: 0, waitingTokens: 0, left: 0 };
  const idle = { occupancy, slotFreeMs: undefined, waitMs: () => undefined, heartbeatAgeMs: undefined };
  const admission = new Admission({
    config: { ...config, ...settings },
    state,
    jobs,
    engine: {
      pid: undefined,
      ...idle,
      async *submit() {
        yield await new Promise<never>(() => undefined);
      },
      ...engine,
    },
    metrics: idleMetrics(),
    model: () => (phase === 'starting' ? undefined : fakeModel({ slots: 1, context, refusal })),
  });
  const admit = (order: Partial<GenerationOrder> = {}) =>
    admission.admit(
      { order: orderOf(order), facts: { correlationId: 'r' }, encoderOf: (run) => sseEncoder('r', run) },
      new FakeSocket(),
    );
  /** The job with the id of `orderOf`, which is registered before its prompt is tokenized. */
  const job = (): Job => {
    const found = jobs.find('a');
    if (found === undefined || found === 'gone') throw new Error('no such job');
    return found;
  };
  return { jobs, admit, job };
}

const orderOf = (order: Partial<GenerationOrder>): GenerationOrder => ({
  jobId: 'a',
  inputs: [{ prompt: 'The sea', raw: true }],
  sampling: {},
  onDisconnect: 'cancel',
  ignoredFields: [],
  ...order,
});

async function errorOf(work: () => unknown): Promise<WorkerError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof WorkerError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('an order is refused', () => {
  test.each([
    ['starting', 'LOADING', 1000],
    ['engine_lost', 'WORKER_UNHEALTHY', 1000],
    ['draining', 'DRAINING', undefined],
  ] as const)(
    'while the worker is %s: %s with the retry time %s ms, and no details',
    async (phase, code, retryAfterMs) => {
      const { admit, jobs } = setUp(phase);
      const error = await errorOf(() => admit());
      expect(error).toMatchObject({ code, retryAfterMs, details: undefined });
      expect(jobs.size).toBe(0);
    },
  );

  test.each([
    [2500.4, 2501],
    [undefined, 1000],
  ])(
    'if slots and queue are full, with sequences that the engine has not dropped; it has an estimate of %s ms',
    async (slotFreeMs, shown) => {
      const occupancy = { busy: 1, waiting: 1, tokens: 5, waitingTokens: 3, left: 2 };
      const waitMs = (ahead: number) => (ahead === 0 ? slotFreeMs : undefined);
      const { admit } = setUp('ready', { occupancy, slotFreeMs, waitMs });
      const error = await errorOf(() => admit());
      expect(error).toMatchObject({ code: 'ALL_SLOTS_BUSY', retryAfterMs: shown });
      expect(error.details).toEqual({
        slots_total: 1,
        slots_busy: 1,
        queue_length: 1,
        queue_limit: 1,
        retry_after_ms: shown,
      });
    },
  );

  test('after its deadline: the same request can never succeed', async () => {
    const error = await errorOf(() => setUp('ready').admit({ deadline: Date.now() - 1 }));
    expect(error).toMatchObject({ code: 'TIMEOUT', retriable: false, retry: 'never', retryAfterMs: undefined });
    expect(error.message).toContain('X-Deadline');
  });

  test.each([
    [undefined, 1000],
    [200, 1000],
    [4000.5, 4001],
  ])('with the id of a running job, for a while; the estimate of the engine is %s ms', async (slotFreeMs, expected) => {
    const { admit, job } = setUp('ready', { waitMs: () => slotFreeMs });
    const first = admit();
    const error = await errorOf(() => admit());
    expect(error).toMatchObject({
      code: 'DUPLICATE_JOB',
      retriable: true,
      details: { run_id: job().runId, retry_after_ms: expected },
    });
    expect(error.message).toMatch(/again later.*GET \/jobs\/\{job_id\}\/events.*another job_id/);
    await first;
    job().clearDeadline();
  });

  test('with the id of a job that does not stop in time, for a short while', async () => {
    const { admit, job } = setUp('ready');
    await admit();
    job().stop('reader_left');
    const error = await errorOf(() => admit());
    expect(error).toMatchObject({ code: 'DUPLICATE_JOB', retriable: true, retryAfterMs: STOPPING_MS });
    expect(error.message).toContain('is being stopped');
    job().clearDeadline();
  });
});

describe('an admitted job', () => {
  test('waits for the end of a stopped job with the same id', async () => {
    const { admit, job, jobs } = setUp('ready');
    await admit();
    const stopped = job();
    stopped.stop('reader_left');
    stopped.clearDeadline();
    const [second, third] = [admit(), errorOf(() => admit())];
    jobs.remove('a');
    await second;
    expect(job()).not.toBe(stopped);
    expect(await third).toMatchObject({ code: 'DUPLICATE_JOB' });
    job().clearDeadline();
  });

  test('that is drained while its prompt is tokenized ends with DRAINING without a retry time, and is removed', async () => {
    const { admit, job, jobs } = setUp('ready');
    const started = errorOf(() => admit());
    const drained = job();
    drained.stop('draining');
    expect(await started).toMatchObject({
      code: 'DRAINING',
      retry: 'elsewhere',
      retryAfterMs: undefined,
      details: undefined,
    });
    expect([jobs.size, drained.log.over, drained.log.begun]).toEqual([0, true, false]);
  });

  test('with a prompt beyond the context is refused, narrated and removed', async () => {
    const { admit, jobs } = setUp('ready');
    const tooLong = { inputs: [{ prompt: 'x'.repeat(64), raw: true }] };
    const { result, narrations } = await capture(() => errorOf(() => admit(tooLong)));
    expect(result).toMatchObject({ code: 'PROMPT_TOO_LONG', details: { tokens_in: 64, context_length: 64 } });
    expect(narrations.map(({ event }) => event)).toEqual(['request.invalid']);
    expect(jobs.size).toBe(0);
  });

  test.each([
    ['WORKER_UNHEALTHY', []],
    ['TEMPLATE_UNUSABLE', [{ error_kind: 'template_unusable', fields: 'template' }]],
  ] as const)('that ends with %s is removed, and narrated only if the request is the cause', async (code, expected) => {
    const { admit, jobs } = setUp('ready', {}, { refusal: new WorkerError(code) });
    const { result, narrations } = await capture(() => errorOf(() => admit()));
    expect([result.code, jobs.size]).toEqual([code, 0]);
    expect(narrations).toMatchObject(expected);
  });

  test.each([
    [{ context: 131_072 }, undefined, 131_065],
    [{ context: 131_072 }, 100_000, 100_000],
    [{ context: 64 }, 2048, 57],
    [{ context: 131_072, maxTokensCap: 100 }, undefined, 100],
  ])('with %j and max_tokens %s may generate %i tokens', async (settings, maxTokens, expected) => {
    const { admit, job } = setUp('ready', {}, settings);
    const { narrations } = await capture(() => admit({ maxTokens }));
    expect(narrations.find(({ event }) => event === 'inference.start')).toMatchObject({ max_tokens: expected });
    job().clearDeadline();
  });

  test('with a long prompt is prepared in another turn of the event loop, and can be stopped before', async () => {
    const { admit, job, jobs } = setUp('ready', {}, { context: 131_072 });
    const started = errorOf(() => admit({ inputs: [{ prompt: 'x'.repeat(100_000), raw: true }] }));
    job().stop('cancelled');
    expect(await started).toMatchObject({ code: 'CANCELLED' });
    expect(jobs.size).toBe(0);
  });

  test('begins with `started`, then narrates the fields that its route ignored', async () => {
    const { admit, job } = setUp('ready');
    const order = { ignoredFields: ['max_token'], sampling: { seed: 5 } };
    const { narrations } = await capture(() => admit(order));
    expect(job().log.text).toMatch(/^id: ([0-9a-z]{9})-0\nevent: started\ndata: .*"run_id":"\1".*"seed":5/);
    const first = narrations.slice(0, 3).map(({ event }) => event);
    expect(first).toEqual(['request.validated', 'fields.ignored', 'inference.start']);
    job().clearDeadline();
  });
});
