/** Each life of a worker process has an identity, in /health and in the log. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../../src/lifecycle/identity.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const ID = ['--worker-id', 'worker-1'];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
let lives: TestWorker[];
beforeAll(async () => {
  lives = await Promise.all([
    startWorker({ args: [...ID, '--slots', '2', '--context', '128'] }),
    startWorker({ args: ID }),
  ]);
});
afterAll(() => Promise.all(lives.map((worker) => worker.kill())));

const healthOf = async (worker: TestWorker): Promise<Record<string, unknown>> =>
  (await worker.get('/health')).json() as Promise<Record<string, unknown>>;

test('two processes with one worker id have two instance ids, which the log and /health report', async () => {
  const seen = new Set<unknown>();
  for (const worker of lives) {
    const { instance_id, pid, started_at, schema_version, worker_id } = await healthOf(worker);
    expect([worker_id, pid, schema_version]).toEqual(['worker-1', worker.process.pid, SCHEMA_VERSION]);
    expect(String(instance_id)).toMatch(UUID);
    expect(new Date(String(started_at)).toISOString()).toBe(started_at);
    const identity = { instance_id, pid, started_at, schema_version };
    expect(await worker.line('worker.startup')).toMatchObject(identity);
    expect(await worker.line('warmup.done')).toMatchObject({ instance_id });
    seen.add(instance_id);
  }
  expect(seen.size).toBe(2);
});

test('worker.startup has slots and context length if they are set; warmup.done and /health always have them', async () => {
  const [set, automatic] = lives;
  if (!set || !automatic) throw new Error('no workers');
  expect(await set.line('worker.startup')).toMatchObject({ slots: 2, context_length: 128 });
  const startup = await automatic.line('worker.startup');
  expect([startup['slots'], startup['context_length']]).toEqual([undefined, undefined]);
  for (const worker of lives) {
    const { slots, context_length } = await healthOf(worker);
    const { total } = slots as { total: number };
    expect(await worker.line('warmup.done')).toMatchObject({ slots: total, context_length });
  }
});
