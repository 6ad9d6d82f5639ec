/** The load that probes and headers show is the decision of admission. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { refusalOf } from '../../src/contract/errors.ts';
import { readyHandler } from '../../src/http/operator/health.ts';
import { Admission } from '../../src/jobs/admission.ts';
import { JobDemand } from '../../src/jobs/capacity/demand.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { WorkerState } from '../../src/lifecycle/state.ts';
import { fakeJob, fakeModel, idleMetrics } from '../support/fakes.ts';

interface Situation {
  readonly slots: number;
  readonly queue: number;
  /** The running jobs: the outputs that have not ended, and how many of them have a slot. */
  readonly jobs: readonly (readonly [outputs: number, busy: number])[];
  /** Sequences whose job has ended, and which the engine has not dropped. */
  readonly left: number;
  /** Milliseconds until a slot is free, and by which each waiting request delays the next; undefined: none. */
  readonly estimate?: readonly [freeMs: number, eachMs: number] | undefined;
}

const CONFIG = readConfig([], {});

function admissionOf({ slots, queue, jobs: running, left, estimate }: Situation, state = new WorkerState()) {
  if (state.phase === 'starting') state.enter('ready');
  const jobs = new JobRegistry({ ttlMs: 1000, bytes: 1e6 });
  for (const [index, [outputs, busy]] of running.entries()) {
    const job = fakeJob('r', { demand: new JobDemand(outputs, slots) });
    jobs.add(`job-${index}`, job);
    for (let started = 0; started < busy; started += 1) job.demand.started();
  }
  const admission = new Admission({
    config: { ...CONFIG, queue },
    state,
    jobs,
    engine: {
      pid: undefined,
      occupancy: { busy: 0, waiting: 0, tokens: 0, waitingTokens: 7, left },
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

const BUSY = [1, 1] as const;
const QUEUED = [1, 0] as const;
/** `count` jobs that wait. */
const queued = (count: number) => Array.from({ length: count }, () => QUEUED);
const IDLE: Situation = { slots: 2, queue: 1, jobs: [], left: 0, estimate: undefined };

describe('the load', () => {
  test.each<[string, Partial<Situation>, object]>([
    ['idle', {}, { accepting: true, slotsFree: 2, queued: 0, expectedWaitMs: 0, acceptedInMs: 0 }],
    [
      'one slot busy',
      { jobs: [BUSY], estimate: [400, 90] },
      { accepting: true, slotsFree: 1, queued: 0, expectedWaitMs: 0, acceptedInMs: 0 },
    ],
    [
      'a job whose prompt is tokenized takes a slot too',
      { jobs: [BUSY, QUEUED] },
      { slotsFree: 0, queued: 0, expectedWaitMs: undefined },
    ],
    [
      'all slots busy',
      { jobs: [BUSY, BUSY], estimate: [400.2, 90] },
      { accepting: true, slotsFree: 0, queued: 0, expectedWaitMs: 401, acceptedInMs: 0 },
    ],
    [
      'full',
      { jobs: [BUSY, BUSY, QUEUED], estimate: [400.2, 90] },
      {
        accepting: false,
        full: true,
        slotsFree: 0,
        queued: 1,
        queuedPromptTokens: 7,
        expectedWaitMs: 491,
        acceptedInMs: 401,
      },
    ],
    [
      'full, with cancelled sequences that the engine has not dropped',
      { left: 3 },
      { accepting: false, slotsFree: 0, queued: 1 },
    ],
    ['no queue', { queue: 0, jobs: [BUSY, BUSY] }, { accepting: false, full: true }],
  ])('%s', (_, situation, expected) => {
    expect(admissionOf({ ...IDLE, ...situation }).admission.load).toMatchObject(expected);
  });

  test('without an engine there are no slots: every job waits', () => {
    const state = new WorkerState();
    state.enter('engine_lost');
    const { load } = admissionOf({ ...IDLE, jobs: queued(2) }, state).admission;
    expect(load).toMatchObject({ accepting: false, slotsFree: 0, queued: 2, expectedWaitMs: undefined });
  });

  test('is that of admission in every situation: it accepts, or refuses with the same figures', () => {
    const kinds = [QUEUED, BUSY, [2, 1], [2, 2], [9, 0], [9, 1], [9, 2]] as const;
    let refused = 0;
    for (const queue of [0, 1, 3])
      for (let count = 0; count <= 5; count += 1)
        for (const one of kinds)
          for (const other of kinds)
            for (const left of [0, 2])
              for (const estimate of [undefined, [250.5, 100]] as const) {
                const jobs = Array.from({ length: count }, (_, index) => (index % 2 === 0 ? one : other));
                const { admission } = admissionOf({ slots: 2, queue, jobs, left, estimate });
                const { load } = admission;
                const error = refusalOf(() => admission.requireCapacity(2));
                expect(load.accepting).toBe(error === undefined);
                if (!error) continue;
                refused += 1;
                expect(error.code).toBe('ALL_SLOTS_BUSY');
                expect(error.details?.['expected_wait_ms']).toBe(load.expectedWaitMs);
                expect(error.details).toMatchObject({ slots_busy: 2, queue_length: load.queued });
                const retryMs = Number(error.details?.['retry_after_ms']);
                expect(error.retryAfterMs).toBe(retryMs);
                if (estimate) expect(retryMs).toBeLessThanOrEqual(Number(load.expectedWaitMs));
              }
    expect(refused).toBeGreaterThan(50);
  });
});

describe('a job with several outputs', () => {
  const estimate = [400, 90] as const;
  const loadWith = (situation: Partial<Situation>) => admissionOf({ ...IDLE, estimate, ...situation }).admission.load;

  test('takes all slots as soon as it is accepted, and a new job waits for one of them', () => {
    for (const busy of [0, 1, 2])
      expect(loadWith({ jobs: [[16, busy]] })).toMatchObject({ accepting: true, slotsFree: 0, queued: 0 });
    // Its two sequences are not in the engine yet, or have the slots: the queue has no other.
    expect(loadWith({ jobs: [[16, 2]] }).expectedWaitMs).toBe(400);
    expect(loadWith({ slots: 4, jobs: [[3, 0]] })).toMatchObject({ slotsFree: 1, expectedWaitMs: 0 });
  });

  test('has one place in the queue, and its sequences there delay the next job', () => {
    const [running, waiting] = [
      [16, 2],
      [16, 0],
    ] as const;
    expect(loadWith({ queue: 2, jobs: [running, waiting] })).toMatchObject({
      accepting: true,
      queued: 1,
      expectedWaitMs: 400 + 2 * 90,
    });
    expect(loadWith({ queue: 8, jobs: [running, ...queued(7)] })).toMatchObject({ accepting: true, queued: 7 });
    expect(loadWith({ queue: 8, jobs: [running, ...queued(8)] })).toMatchObject({ accepting: false, queued: 8 });
  });

  test('takes a freed slot again while it has outputs: without a queue, a new job is accepted at its last ones', () => {
    const load = loadWith({ queue: 0, jobs: [[128, 2]] });
    expect(load).toMatchObject({ accepting: false, acceptedInMs: 400 + 126 * 90, expectedWaitMs: 400 + 126 * 90 });
    expect(loadWith({ queue: 0, jobs: [[2, 2]] })).toMatchObject({ accepting: false, acceptedInMs: 400 });
    expect(loadWith({ queue: 0, jobs: [[1, 1]] })).toMatchObject({ accepting: true, acceptedInMs: 0 });
  });

  test('soon gives a slot to a job that waits, whose place is free then', () => {
    expect(loadWith({ jobs: [[128, 2], QUEUED] })).toMatchObject({ accepting: false, acceptedInMs: 400 });
  });

  test('alternates with other jobs: one of them must end', () => {
    const many = [128, 1] as const;
    expect(loadWith({ queue: 0, jobs: [many, many] }).acceptedInMs).toBe(400 + 2 * 126 * 90);
    expect(loadWith({ queue: 0, jobs: [many, BUSY] }).acceptedInMs).toBe(400);
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
  const { admission } = admissionOf({ ...IDLE, jobs: [BUSY, BUSY, QUEUED], estimate: [30_000, 90] });
  const errorFor = (isOwner: boolean) => {
    const config = { ...readConfig([], {}), readyWhenFull: false };
    const handle = readyHandler({ config, admission, isTrusted: () => isOwner });
    return refusalOf(() => handle({} as FastifyRequest, {} as FastifyReply));
  };
  expect(errorFor(true)).toMatchObject({ code: 'ALL_SLOTS_BUSY', retryAfterMs: 30_000, details: { queue_length: 1 } });
  expect(errorFor(false)).toMatchObject({ code: 'ALL_SLOTS_BUSY', retryAfterMs: 1000, details: undefined });
});
