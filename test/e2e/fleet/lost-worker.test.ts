/**
 * Two workers behind each of the example orchestrators. One worker is killed in the middle of sixteen streams:
 * sixteen users read one uninterrupted right text each.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CEILING_MS, Example, Manager, Orchestrator } from '../../support/fleet.ts';
import { endings, Listener, lastOf } from '../../support/listener.ts';
import { all, type StreamEvent, textOf } from '../../support/worker.ts';

const WORKERS = 2;
const USERS = 16;
const TOKENS = 400;
/** A kill must hit this many streams that have text and no end. */
const LEAST_MOVED = 4;

const SCHEMA = { type: 'array', items: { type: 'integer', minimum: 0, maximum: 999 }, minItems: 80, maxItems: 80 };
/** Sixteen tasks of several kinds, whose text depends on the seed only. */
const TASKS: readonly object[] = Array.from({ length: USERS }, (_, seed) => {
  const body = { prompt: `The sea ${seed}`, temperature: 1, seed, max_tokens: TOKENS };
  if (seed % 8 === 3) return { ...body, schema: SCHEMA };
  const long = { ...body, min_tokens: TOKENS };
  if (seed % 8 === 5) return { ...long, temperature: 0, frequency_penalty: 0.5, repetition_penalty: 1.2 };
  if (seed % 8 === 6) return { ...long, logprobs: 2, top_k: 50 };
  if (seed % 8 === 7) return { ...long, stop: ['\u2603', 'the sea and the sea and the sea'], presence_penalty: 0.5 };
  return long;
});

const workersOf = (events: readonly StreamEvent[]): unknown[] => [
  ...new Set(all(events, 'narration').map((line) => line['worker_id'])),
];

let manager: Manager;
let orchestrators: Readonly<Record<string, { readonly example: Example; readonly url: string }>>;
beforeAll(async () => {
  manager = await Manager.start(WORKERS, ['--slots', String(USERS)]);
  const fleet = await Orchestrator.start(manager.url);
  const short = new Example('orchestrator', [manager.url, '0']);
  const listening = await short.line('orchestrator.listening');
  orchestrators = {
    fleet: { example: fleet, url: fleet.tasks },
    short: { example: short, url: String(listening['url']) },
  };
}, CEILING_MS);
afterAll(async () => {
  await Promise.all(Object.values(orchestrators).map(({ example }) => example.stop('SIGKILL')));
  await manager.kill();
});

/** The figures of the whole output. */
const figuresOf = ({ tokens_in, tokens_out, stop_reason, stop_sequence_matched, seed }: Record<string, unknown>) => ({
  ...{ tokens_in, tokens_out, stop_reason, stop_sequence_matched, seed },
});

describe('a worker that is killed under sixteen streams', { timeout: 2 * CEILING_MS }, () => {
  test.each(['fleet', 'short'])('costs no user of the orchestrator %s a character', async (name) => {
    const { url = '' } = orchestrators[name] ?? {};
    const undisturbed = await Promise.all(TASKS.map(async (task) => (await Listener.post(url, task)).ended));
    for (const events of undisturbed) expect(lastOf(events).type).toBe('end');

    for (let moved = 0; moved < LEAST_MOVED; ) {
      await manager.untilReady(WORKERS);
      const endpoints = await manager.endpoints();
      const streams = await Promise.all(TASKS.map((task) => Listener.post(url, task)));
      await Promise.all(streams.map((stream) => stream.untilToken(5)));
      const [victim] = endpoints;
      if (!victim) throw new Error('The pool-manager has no worker.');
      process.kill(victim.pid, 'SIGKILL');
      const ended = await Promise.all(streams.map((stream) => stream.ended));
      for (const [index, events] of ended.entries()) {
        const expected = undisturbed[index] ?? [];
        expect(endings(events)).toEqual([events.at(-1)]);
        expect(textOf(events)).toBe(textOf(expected));
        expect(figuresOf(lastOf(events))).toEqual(figuresOf(lastOf(expected)));
        expect(all(events, 'started')).toHaveLength(1);
        expect(all(events, 'token').map(({ i }) => i)).toEqual(all(events, 'token').map((_, at) => at));
      }
      const lost = ended.filter((events) => workersOf(events).length > 1);
      for (const events of lost) {
        const told = all(events, 'narration').filter(({ event }) => event === 'request.continued');
        // Nothing that the user has is generated again.
        expect(told).toMatchObject([{ tokens_kept: expect.toSatisfy((kept: number) => kept > 0) }]);
      }
      moved = lost.length;
      await manager.line('manager.worker_exited', (line) => line['worker_id'] === victim.worker_id);
      await manager.untilReady(WORKERS, [victim]);
    }
  });
});
