/** A drain that runs out of time: each of its streams ends with the data to continue it on another worker. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { expectContinued, outputOf, type Resume, toldBy } from '../../support/continuation.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { killAll } from '../../support/processes.ts';
import { type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

/** Two workers under load. */
const CEILING_MS = 120_000;

let second: TestWorker;
beforeAll(async () => {
  second = await startWorker({ args: ['--slots', '4'] });
});
afterAll(killAll);

const { job_id: _, ...LONG } = longJob('') as Record<string, unknown>;
const { seed: __, ...SEEDLESS } = LONG;
/** Jobs of a worker that drains. The last one waits for a slot. */
const BODIES: readonly object[] = [
  { ...LONG, ids: true },
  LONG,
  { ...SEEDLESS, ids: true },
  { ...LONG, seed: 2, temperature: 0 },
  { ...LONG, seed: 3 },
];
const RUNNING = 4;

/** The streams of the jobs on a worker whose drain runs out of time; undefined if one of them has ended before. */
async function drained(): Promise<readonly (readonly StreamEvent[])[] | undefined> {
  const worker = await startWorker({ args: ['--slots', String(RUNNING), '--shutdown-timeout', '3'] });
  const streams: Listener[] = [];
  for (const [index, body] of BODIES.entries()) {
    const stream = await Listener.open(worker, { job_id: `job-${index}`, ...body });
    if (index < RUNNING) await stream.untilToken(index);
    streams.push(stream);
  }
  process.kill(enginePid(worker), 'SIGSTOP');
  await worker.post('/shutdown', {});
  const ended = await Promise.all(streams.map((stream) => stream.ended));
  await worker.exited;
  return ended.every((events) => lastOf(events).type === 'error') ? ended : undefined;
}

test(
  'ends its streams with DRAINING and their ids, and another worker continues them',
  async () => {
    let streams = await drained();
    while (!streams) streams = await drained();
    for (const [index, events] of streams.entries()) {
      const { started, tokens, ids, end } = outputOf(events);
      expect(end).toMatchObject({ code: 'DRAINING', retriable: true, retry: 'elsewhere' });
      const resume = end['resume'] as Resume;
      expect(resume.index).toBe(tokens.length);
      // With `ids`, the events told these ids, except for those of a character that is not complete.
      if (ids.length > 0) {
        expect(resume.token_ids.slice(0, ids.length)).toEqual(ids);
        expect(resume.token_ids.length - ids.length).toBeLessThan(4);
        expect(started['fingerprint']).toBe(resume.fingerprint);
      }
      if (index < RUNNING) expect(tokens.length).toBeGreaterThan(index);
      else expect([tokens, resume.token_ids]).toEqual([[], []]);
      const body = { ...BODIES[index], seed: started['seed'] };
      const whole = await toldBy(second, body);
      expect(whole.ids.slice(0, resume.token_ids.length)).toEqual(resume.token_ids);
      expect(whole.tokens.slice(0, tokens.length).map(({ t }) => t)).toEqual(tokens.map(({ t }) => t));
      await expectContinued(second, body, whole, resume);
    }
  },
  CEILING_MS,
);
