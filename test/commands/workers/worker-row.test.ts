/** The facts about a worker from answers that anybody could have written. */
import { describe, expect, test } from 'vitest';
import { healthFacts, recordFacts } from '../../../src/commands/workers/worker-row.ts';

const HEALTH = { status: 'healthy', worker_id: 'w1', model: 'haiku', slots: { total: 4, busy: 1 } };

describe('an answer of /health', () => {
  test('gives its facts; facts that it lacks are absent', () => {
    expect(healthFacts(HEALTH)).toMatchObject({ status: 'healthy', worker_id: 'w1', model: 'haiku' });
    expect(healthFacts(HEALTH)?.memory_bytes).toBeUndefined();
    expect(healthFacts(HEALTH)?.queue).toEqual({ length: 0, limit: 0 });
  });

  test.each([[null], [undefined], ['text'], [[]], [{}], [{ status: 'healthy' }], [{ ...HEALTH, status: 'ok' }]])(
    'of another program gives none: %j',
    (answer) => {
      expect(healthFacts(answer)).toBeUndefined();
    },
  );

  test('with wrong types and long texts is bounded', () => {
    const answer = { ...HEALTH, model: 'm'.repeat(10_000), pid: '1', uptime_seconds: -1, slots: 'many', queue: null };
    const facts = healthFacts({ ...answer, memory_bytes: Number.POSITIVE_INFINITY });
    expect(facts?.model).toHaveLength(200);
    expect(facts).toMatchObject({ slots: { total: 0, busy: 0 }, queue: { length: 0, limit: 0 } });
    expect([facts?.pid, facts?.uptime_seconds, facts?.memory_bytes]).toEqual([undefined, undefined, undefined]);
  });
});

test('a worker that started in the future of this clock is 0 seconds old', () => {
  const started_at = new Date(Date.now() + 3_600_000).toISOString();
  const record = { pid: 1, url: 'http://[::1]:1', worker_id: 'w', instance_id: 'i', started_at, version: '1' };
  expect(recordFacts(record).uptime_seconds).toBe(0);
});
