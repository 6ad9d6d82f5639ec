/** The load that probes and headers show is the decision of admission. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { refusalOf } from '../../src/contract/errors.ts';
import { readyHandler } from '../../src/http/operator/health.ts';
import { Admission } from '../../src/jobs/admission.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { WorkerState } from '../../src/lifecycle/state.ts';
import { fakeJob, fakeModel, idleMetrics } from '../support/fakes.ts';

interface Situation {
  readonly slots: number;
  readonly queue: number;
  readonly jobs: number;
  readonly busy: number;
  readonly waiting: number;
  /** Milliseconds until a slot is free, and by which each waiting request delays the next; undefined: none. */
  readonly estimate?: readonly [freeMs: number, eachMs: number] | undefined;
}

function admissionOf({ slots, queue, jobs: running, busy, waiting, estimate }: Situation, state = new WorkerState()) {
  if (state.phase === 'starting') state.enter('ready');
  const jobs = new JobRegistry({ ttlMs: 1000, bytes: 1e6 });
  for (let index = 0; index < running; index += 1) jobs.add(`job-${index}`, fakeJob('r'));
  const admission = new Admission({
    config: { ...readConfig([], {}), queue },
    state,
    jobs,
    engine: {
      occupancy: { busy, waiting, tokens: 0, waitingTokens: 7 * waiting },
      slotFreeMs: estimate?.[0],
      waitMs: (ahead) => estimate && estimate[0] + ahead * estimate[1],
      heartbeatAgeMs: 1234.4,
      async *submit() {
        yield await new Promise<never>(() => undefined);
      },
    },
    metrics: idleMetrics(),
    model: () => fakeModel({ slots }),
  });
  return { admission, state };
}

const IDLE: Situation = { slots: 2, queue: 1, jobs: 0, busy: 0, waiting: 0, estimate: undefined };

describe('the load', () => {
  test.each<[string, Partial<Situation>, object]>([
    ['idle', {}, { accepting: true, slotsFree: 2, queued: 0, expectedWaitMs: 0 }],
    [
      'one slot busy',
      { jobs: 1, busy: 1, estimate: [400, 90] },
      { accepting: true, slotsFree: 1, queued: 0, expectedWaitMs: 0 },
    ],
    [
      'a job whose prompt is tokenized takes a slot too',
      { jobs: 2, busy: 1 },
      { slotsFree: 0, queued: 0, expectedWaitMs: undefined },
    ],
    [
      'all slots busy',
      { jobs: 2, busy: 2, estimate: [400.2, 90] },
      { accepting: true, slotsFree: 0, queued: 0, expectedWaitMs: 401 },
    ],
    [
      'full',
      { jobs: 3, busy: 2, waiting: 1, estimate: [400, 90] },
      { accepting: false, full: true, slotsFree: 0, queued: 1, queuedPromptTokens: 7, expectedWaitMs: 490 },
    ],
    [
      'full, with cancelled sequences that the engine has not dropped',
      { busy: 2, waiting: 1 },
      { accepting: false, slotsFree: 0, queued: 1 },
    ],
    ['no queue', { queue: 0, jobs: 2, busy: 2 }, { accepting: false, full: true }],
  ])('%s', (_, situation, expected) => {
    expect(admissionOf({ ...IDLE, ...situation }).admission.load).toMatchObject(expected);
  });

  test('without an engine there are no slots: every job waits', () => {
    const state = new WorkerState();
    state.enter('engine_lost');
    const { load } = admissionOf({ ...IDLE, jobs: 2, waiting: 2 }, state).admission;
    expect(load).toMatchObject({ accepting: false, slotsFree: 0, queued: 2, expectedWaitMs: undefined });
  });

  test('is that of admission in every situation: it accepts, or refuses with the same figures', () => {
    let refused = 0;
    for (const queue of [0, 1, 3])
      for (let jobs = 0; jobs <= 7; jobs += 1)
        for (let busy = 0; busy <= 2; busy += 1)
          for (let waiting = 0; waiting <= 5; waiting += 1)
            for (const estimate of [undefined, [250.5, 100]] as const) {
              const { admission } = admissionOf({ slots: 2, queue, jobs, busy, waiting, estimate });
              const { load } = admission;
              const error = refusalOf(() => admission.requireCapacity(2));
              expect(load.accepting).toBe(error === undefined);
              if (!error) continue;
              refused += 1;
              expect(error.code).toBe('ALL_SLOTS_BUSY');
              expect(error.details?.['expected_wait_ms']).toBe(load.expectedWaitMs);
              expect(error.details).toMatchObject({ slots_busy: 2, queue_length: load.queued });
              // A place in the queue is free as soon as a slot is; without a queue, both are the same.
              const retryMs = Number(error.details?.['retry_after_ms']);
              if (estimate) expect(retryMs).toBeLessThanOrEqual(Number(load.expectedWaitMs));
              if (estimate && load.queued === 0) expect(retryMs).toBe(load.expectedWaitMs);
            }
    expect(refused).toBeGreaterThan(50);
  });
});

describe('a stalled engine', () => {
  test('refuses jobs with the age of its last message; a worker that drains says so instead', () => {
    const state = new WorkerState();
    const { admission } = admissionOf({ ...IDLE, estimate: [400, 90] }, state);
    state.stalled = true;
    expect(state.health).toBe('stalled');
    expect(admission.load).toMatchObject({ accepting: false, full: false, slotsFree: 0, expectedWaitMs: undefined });
    expect(refusalOf(() => admission.requireReady())).toMatchObject({
      code: 'ENGINE_STALLED',
      status: 503,
      retryAfterMs: 1000,
      details: { engine_heartbeat_age_ms: 1234 },
    });
    state.enter('draining');
    expect([state.health, state.refusal]).toEqual(['draining', 'DRAINING']);
  });

  test('is not stalled any more when it is lost, or answers', () => {
    const state = new WorkerState();
    state.enter('ready');
    state.stalled = true;
    state.enter('engine_lost');
    expect([state.stalled, state.health, state.refusal]).toEqual([false, 'unhealthy', 'WORKER_UNHEALTHY']);
    state.enter('ready');
    expect([state.health, state.refusal]).toEqual(['healthy', undefined]);
  });

  test('shows only when the worker is ready', () => {
    const state = new WorkerState();
    state.stalled = true;
    expect([state.health, state.refusal]).toEqual(['starting', 'LOADING']);
    state.enter('ready');
    expect([state.health, state.refusal]).toEqual(['stalled', 'ENGINE_STALLED']);
  });
});

test('/ready of a full worker tells the time until a retry to the owner of the token only', () => {
  const { admission } = admissionOf({ ...IDLE, jobs: 3, busy: 2, waiting: 1, estimate: [30_000, 90] });
  const errorFor = (isOwner: boolean) => {
    const config = { ...readConfig([], {}), readyWhenFull: false };
    const handle = readyHandler({ config, admission, isTrusted: () => isOwner });
    return refusalOf(() => handle({} as FastifyRequest, {} as FastifyReply));
  };
  expect(errorFor(true)).toMatchObject({ code: 'ALL_SLOTS_BUSY', retryAfterMs: 30_000, details: { queue_length: 1 } });
  expect(errorFor(false)).toMatchObject({ code: 'ALL_SLOTS_BUSY', retryAfterMs: 1000, details: undefined });
});
