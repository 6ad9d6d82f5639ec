/** Streams whose engine is killed, compared with the same streams without a loss. */
import { expect } from 'vitest';
import { enginePid } from './cli.ts';
import { endings, Listener, lastOf, longJob } from './listener.ts';
import { all, type TestWorker } from './worker.ts';

/** Narrations of interruptions, in order. */
export const interruptions = ({ told }: Listener): string[] =>
  told.filter((event) => ['request.interrupted', 'request.held', 'request.resumed'].includes(event));

/** A long job for each seed. */
export const openAll = (worker: TestWorker, seeds: readonly number[], more: object = {}): Promise<Listener[]> =>
  Promise.all(seeds.map((seed) => Listener.open(worker, longJob(`job-${seed}`, { seed, ...more }))));

/**
 * Opens a long job for each seed, and suspends the engine when the job at place n has `least` + n tokens. If one
 * has ended by then, because this process was late, all are opened again.
 */
export async function openAndSuspend(
  worker: TestWorker,
  seeds: readonly number[],
  more: object,
  least = 0,
): Promise<Listener[]> {
  for (;;) {
    const streams = await openAll(worker, seeds, more);
    await Promise.all(streams.map((stream, place) => stream.untilToken(least + place)));
    process.kill(enginePid(worker), 'SIGSTOP');
    const { slots } = (await (await worker.get('/health')).json()) as { slots: { busy: number } };
    if (slots.busy === seeds.length) return streams;
    process.kill(enginePid(worker), 'SIGCONT');
    await Promise.all(streams.map(({ ended }) => ended));
  }
}

/** The texts of these jobs on an engine that is not disturbed. */
export async function undisturbed(worker: TestWorker, seeds: readonly number[], more: object = {}): Promise<string[]> {
  const open = (seed: number): Promise<Listener> =>
    Listener.open(worker, longJob(`undisturbed-${seed}`, { seed, ...more }));
  const streams = await Promise.all(seeds.map(open));
  await Promise.all(streams.map(({ ended }) => ended));
  return streams.map(({ text }) => text);
}

/** A stream has ended well, with this text, each token once. */
export async function expectWhole(stream: Listener, text: string): Promise<void> {
  const events = await stream.ended;
  expect(lastOf(events)).toMatchObject({ type: 'end' });
  expect(endings(events)).toEqual([events.at(-1)]);
  const indexes = all(events, 'token').map((token) => token['i']);
  expect(indexes).toEqual([...indexes.keys()]);
  expect(stream.text).toBe(text);
}

/** Kills the engine. Resolves when the next one is open. */
export async function killEngine(worker: TestWorker): Promise<void> {
  const before = worker.lines.filter(({ event }) => event === 'engine.restarted').length;
  process.kill(enginePid(worker), 'SIGKILL');
  await worker.line('engine.restarted', (line) => line['restarts'] === before + 1);
}
