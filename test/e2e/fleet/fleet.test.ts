/**
 * The examples as a fleet: a pool-manager, its workers and an orchestrator. Workers are replaced and killed under
 * load, and no caller sees a failed request.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CEILING_MS, type Endpoint, Manager, Orchestrator, task } from '../../support/fleet.ts';
import { endings, Listener, lastOf } from '../../support/listener.ts';
import { enginesOf, isAlive, untilGone } from '../../support/processes.ts';
import { all, type StreamEvent, textOf } from '../../support/worker.ts';

const WORKERS = 3;
const USERS = 4;
const TOKENS = 150;
const SEEDS = [1, 2, 3, 4, 5, 6];
/** Text of each seed, generated on a quiet fleet. */
const expected = new Map<number, string>();
let manager: Manager;
let orchestrator: Orchestrator;

const runTask = async (seed: number): Promise<readonly StreamEvent[]> =>
  (await Listener.post(orchestrator.tasks, task(seed, TOKENS))).ended;

/** The stream of a caller: complete, without a gap, and the text of its seed. */
function expectComplete(events: readonly StreamEvent[], seed: number): void {
  expect(endings(events)).toEqual([events.at(-1)]);
  expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: TOKENS, seed });
  expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => String(index)));
  expect(all(events, 'started')).toHaveLength(1);
  expect(all(events, 'token').map(({ i }) => i)).toEqual(all(events, 'token').map((_, index) => index));
  expect(textOf(events)).toBe(expected.get(seed));
}

/** Workers that have narrated to the caller of a task. */
const workersOf = (events: readonly StreamEvent[]): unknown[] => [
  ...new Set(all(events, 'narration').map((line) => line['worker_id'])),
];

beforeAll(async () => {
  // One slot each: when the first job of a worker has its first token, others wait behind it. A stopped engine
  // does not count as stalled.
  manager = await Manager.start(WORKERS, ['--slots', '1', '--stall-after', '50']);
  orchestrator = await Orchestrator.start(manager.url);
  for (const seed of SEEDS) expected.set(seed, textOf(await runTask(seed)));
  for (const text of expected.values()) expect(text.length).toBeGreaterThanOrEqual(TOKENS);
}, CEILING_MS);
afterAll(async () => {
  await orchestrator.stop('SIGKILL');
  await manager.kill();
});

describe('a fleet', { timeout: CEILING_MS }, () => {
  test('gets the jobs of a burst in equal parts', async () => {
    const endpoints = await manager.endpoints();
    const engines = endpoints.flatMap(({ pid }) => enginesOf(pid));
    // No job of the burst ends before the last one is sent, and the workers answer every probe in time.
    for (const engine of engines) process.kill(engine, 'SIGSTOP');
    const burst = await Promise.all(
      Array.from({ length: 4 * WORKERS }, (_, index) => Listener.post(orchestrator.tasks, task(index, TOKENS))),
    );
    const accepted = await Promise.all(burst.map((stream) => stream.until(({ data }) => data.type === 'narration')));
    for (const engine of engines) process.kill(engine, 'SIGCONT');
    const ids = accepted.map(({ data }) => String(data['worker_id']));
    const counts = endpoints.map(({ worker_id }) => ids.filter((id) => id === worker_id).length);
    expect(counts).toEqual(Array.from({ length: WORKERS }, () => 4));
    for (const stream of burst) expect(lastOf(await stream.ended).type).toBe('end');
  });

  test('is replaced under load without a failed request', async () => {
    const before = await manager.endpoints();
    let rolling = true;
    let requests = 0;
    const user = async (seed: number): Promise<void> => {
      // At least one request begins after the rolling restart.
      for (let last = false; !last; requests += 1) {
        last = !rolling;
        expectComplete(await runTask(seed), seed);
      }
    };
    const seeds = SEEDS.slice(0, USERS);
    const users = Promise.all(seeds.map(user));
    const answer = await manager.roll();
    rolling = false;
    await users;
    expect(answer.status).toBe(200);
    expect(requests).toBeGreaterThanOrEqual(2 * USERS);
    const after = await manager.endpoints();
    expect(after).toHaveLength(WORKERS);
    const pids = (list: readonly Endpoint[]): number[] => list.map(({ pid }) => pid);
    for (const pid of pids(before)) expect([pids(after).includes(pid), isAlive(pid)]).toEqual([false, false]);
    const exits = manager.lines.filter(({ event }) => event === 'manager.worker_exited');
    expect(exits.map((line) => line['code'])).toEqual(before.map(() => 0));
    expect(await orchestrator.counts()).toMatchObject({ continued: 0, failed: 0 });
  });

  /** Twelve tasks. Calls `fault` with the worker of the first token, which has other tasks waiting. */
  async function tasksWith(fault: (worker: Endpoint) => void) {
    const seeds = [...SEEDS, ...SEEDS];
    const endpoints = await manager.endpoints();
    const streams = await Promise.all(seeds.map((seed) => Listener.post(orchestrator.tasks, task(seed, TOKENS))));
    const first = await Promise.any(streams.map((stream) => stream.untilToken(2).then(() => stream)));
    const [name] = workersOf(first.events);
    const victim = endpoints.find(({ worker_id }) => worker_id === name);
    if (victim === undefined) throw new Error(`No endpoint has the worker id ${name}.`);
    fault(victim);
    const ended = await Promise.all(streams.map((stream) => stream.ended));
    for (const [index, events] of ended.entries()) expectComplete(events, seeds[index] ?? 0);
    return { victim, ended };
  }

  test('loses no request when a worker is killed, and gets another worker in its place', async () => {
    const { continued, failed } = await orchestrator.counts();
    // On a fast machine the signal can come after the last token of the job: then no answer is continued.
    for (let now = continued; now === continued; now = (await orchestrator.counts()).continued) {
      let engines: number[] = [];
      const { victim, ended } = await tasksWith((worker) => {
        engines = enginesOf(worker.pid);
        process.kill(worker.pid, 'SIGKILL');
      });
      const moved = ended.filter((events) => workersOf(events).length > 1);
      for (const events of moved) expect(workersOf(events)).toContain(victim.worker_id);
      await manager.line('manager.worker_exited', (line) => line['worker_id'] === victim.worker_id);
      await manager.untilReady(WORKERS, [victim]);
      await Promise.all(engines.map(untilGone));
    }
    expect((await orchestrator.counts()).failed).toBe(failed);
  });

  test('loses no request when an engine is killed, and keeps the worker', async () => {
    const { failed } = await orchestrator.counts();
    for (let lost = false; !lost; ) {
      await manager.untilReady(WORKERS);
      const { victim, ended } = await tasksWith((worker) => {
        for (const engine of enginesOf(worker.pid)) process.kill(engine, 'SIGKILL');
      });
      expect((await manager.endpoints()).map(({ pid }) => pid)).toContain(victim.pid);
      // On a busy machine the signal can reach the engine between two jobs: then it computes none.
      lost = ended.some((events) => all(events, 'narration').some(({ event }) => event === 'request.interrupted'));
    }
    expect((await orchestrator.counts()).failed).toBe(failed);
  });

  test('ends with the pool-manager: no worker and no engine is left', async () => {
    expect(await orchestrator.stop()).toBe(0);
    expect(manager.started.length).toBeGreaterThan(2 * WORKERS);
    expect(await manager.stopAll()).toBe(0);
  });
});
