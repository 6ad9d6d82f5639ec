/**
 * A paused sequence: no step includes it, it keeps its slot, and its generated ids are the same as without
 * the pause.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { Bench, prompt, request } from './harness.ts';

const bench = new Bench({ slots: 2, context: 256 });
afterAll(() => bench.engine.close());

/** Number of reported tokens of a sequence so far. */
const tokensOf = (id: number): number =>
  bench.reports
    .flatMap(({ sequences }) => sequences)
    .reduce((sum, one) => sum + (one.id === id ? one.tokens.length : 0), 0);

describe('a paused sequence', () => {
  it('gets no tokens while another sequence decodes to its end', async () => {
    const [paused, other] = [
      request({ prompt: prompt(20, 1), maxTokens: 60 }),
      request({ prompt: prompt(20, 2), maxTokens: 60 }),
    ];
    const outcome = bench.submit(paused);
    await bench.afterTokens(paused.id, 3);
    bench.engine.pause(paused.id, true);
    const before = tokensOf(paused.id);
    expect((await bench.submit(other)).finish.reason).toBe('max_tokens');
    expect(tokensOf(paused.id)).toBe(before);
    expect(bench.engine.cache.free).toBe(1);
    bench.engine.pause(paused.id, false);
    expect((await outcome).ids).toHaveLength(60);
  });

  it('has the same tokens as a sequence that never paused', async () => {
    const asked = { prompt: prompt(30, 3), maxTokens: 40, sampling: { temperature: 1, seed: 5 } };
    const straight = await bench.run(asked);
    const pausing = request(asked);
    const outcome = bench.submit(pausing);
    for (const count of [5, 5, 10]) {
      await bench.afterTokens(pausing.id, count);
      bench.engine.pause(pausing.id, true);
      await bench.run({ prompt: prompt(12, count), maxTokens: 8 });
      bench.engine.pause(pausing.id, false);
    }
    expect((await outcome).ids).toEqual(straight.ids);
  });

  it('leaves the engine idle when nothing else runs', async () => {
    const paused = request({ prompt: prompt(20, 4), maxTokens: 60 });
    const outcome = bench.submit(paused);
    await bench.afterTokens(paused.id, 2);
    bench.engine.pause(paused.id, true);
    await sleep(20);
    const reports = bench.reports.length;
    const began = process.cpuUsage();
    await sleep(200);
    const { user, system } = process.cpuUsage(began);
    expect(bench.reports).toHaveLength(reports);
    expect(user + system).toBeLessThan(150_000);
    bench.engine.pause(paused.id, false);
    expect((await outcome).finish.reason).toBe('max_tokens');
  });

  it('can be cancelled, and gives its slot to a waiting sequence', async () => {
    const sequences = [
      request({ prompt: prompt(20, 5), maxTokens: 60 }),
      request({ prompt: prompt(20, 6), maxTokens: 60 }),
    ];
    const outcomes = sequences.map((one) => bench.submit(one));
    await bench.afterTokens(sequences[1]?.id ?? 0, 1);
    for (const { id } of sequences) bench.engine.pause(id, true);
    const waiting = bench.run({ prompt: prompt(20, 7), maxTokens: 4 });
    await sleep(20);
    bench.engine.cancel(sequences[0]?.id ?? 0);
    expect((await outcomes[0])?.finish.reason).toBe('cancelled');
    expect((await waiting).ids).toHaveLength(4);
    bench.engine.pause(sequences[1]?.id ?? 0, false);
    expect((await outcomes[1])?.ids).toHaveLength(60);
  });

  it('is ignored if it is unknown or has ended', async () => {
    const { finish } = await bench.run();
    bench.engine.pause(123_456, true);
    bench.engine.pause(123_456, false);
    expect(finish.reason).toBe('max_tokens');
  });
});
