/** The pool-manager and the orchestrator of 60 lines. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { CEILING_MS, type Endpoint, Example, task } from '../../support/fleet.ts';
import { Listener, lastOf } from '../../support/listener.ts';
import { untilGone } from '../../support/processes.ts';
import { all, type LogLine, textOf } from '../../support/worker.ts';

const TOKENS = 450;
const WORKERS = 2;
let manager: Example;
let orchestrator: Example;
let url: string;

const endpoints = async (): Promise<Endpoint[]> => {
  const { url: at } = await manager.line('manager.listening');
  return (await (await fetch(`${at}/endpoints`)).json()) as Endpoint[];
};
const open = (seed: number): Promise<Listener> => Listener.post(url, task(seed, TOKENS));

beforeAll(async () => {
  manager = new Example('pool-manager', [String(WORKERS), '0', '--slots', '1']);
  const { url: at } = await manager.line('manager.listening');
  for (let place = 0; place < WORKERS; place += 1)
    await manager.line('manager.worker_ready', (line) => line['worker_id'] === `w${place}-g1`);
  orchestrator = new Example('orchestrator', [String(at), '0']);
  url = String((await orchestrator.line('orchestrator.listening'))['url']);
}, CEILING_MS);
afterAll(async () => {
  await orchestrator.stop('SIGKILL');
  await manager.stop('SIGKILL');
});

describe('a fleet of the short examples', { timeout: CEILING_MS }, () => {
  test('spreads tasks and forwards their narration', async () => {
    const streams = await Promise.all([1, 2].map(open));
    const ended = await Promise.all(streams.map((stream) => stream.ended));
    for (const events of ended) {
      expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: TOKENS });
      expect(all(events, 'narration').length).toBeGreaterThan(3);
    }
    const ids = ended.map((events) => all(events, 'started')[0]?.['worker_id']);
    expect(ids.toSorted()).toEqual(['w0-g1', 'w1-g1']);
  });

  test('finishes a task elsewhere when its worker is killed, and replaces the worker', async () => {
    const expected = textOf(await (await open(5)).ended);
    // On a busy machine the signal can reach the worker after the end of its job.
    for (let moved = false; !moved; ) {
      await eventually(async () => expect(await endpoints()).toHaveLength(WORKERS));
      const before = await endpoints();
      const stream = await open(5);
      await stream.untilToken(3);
      const name = all(stream.events, 'started')[0]?.['worker_id'];
      const victim = before.find(({ worker_id }) => worker_id === name);
      process.kill(Number(victim?.pid), 'SIGKILL');
      const events = await stream.ended;
      expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: TOKENS });
      expect(textOf(events)).toBe(expected);
      expect(all(events, 'started')).toHaveLength(1);
      moved = new Set(all(events, 'narration').map((line) => line['worker_id'])).size === 2;
      await manager.line('manager.worker_exited', (line) => line['worker_id'] === name);
    }
    await eventually(async () => expect(await endpoints()).toHaveLength(WORKERS));
    expect((await endpoints()).every(({ worker_id }) => worker_id.endsWith('g1'))).toBe(false);
  });

  test('reports an error that no worker can help', async () => {
    const events = await (await Listener.post(url, { prompt: '' })).ended;
    expect(lastOf(events)).toMatchObject({ type: 'error', code: 'INVALID_REQUEST', retry: 'never' });
  });

  test('cancels the task of a caller that leaves', async () => {
    // On a busy machine a job can end before its caller has left.
    for (let event = ''; event !== 'request.cancelled'; ) {
      const stream = await Listener.post(url, task(9, 450));
      await stream.untilToken();
      const started = all(stream.events, 'started')[0];
      const isOfJob = (line: LogLine): boolean =>
        line['worker_id'] === started?.['worker_id'] && line['job_id'] === started?.['job_id'];
      stream.leave();
      const ends = ['request.cancelled', 'inference.complete'].map((name) => manager.line(name, isOfJob));
      ({ event } = await Promise.race(ends));
    }
  });

  test('ends with the pool-manager', async () => {
    const pids = (await endpoints()).map(({ pid }) => pid);
    expect(await manager.stop()).toBe(0);
    await Promise.all(pids.map(untilGone));
  });
});
