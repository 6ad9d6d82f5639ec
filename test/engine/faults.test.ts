import { afterAll, describe, expect, it } from 'vitest';
import { Bench, prompt, request } from './harness.ts';

/** The model has 512 positions: runs past them fail with the runtime's message. */
const bench = new Bench({ slots: 3, context: 600, prefillChunk: 256 });
afterAll(() => bench.engine.close());

describe('a run that fails', () => {
  it('in prefill ends only its sequence and frees the slot; the engine continues', async () => {
    const before = await bench.run({ maxTokens: 30 });
    const neighbour = bench.run({ prompt: prompt(8), maxTokens: 60 });
    const { notes, ids, finish } = await bench.run({ prompt: prompt(560), maxTokens: 2 });
    expect(finish).toMatchObject({ reason: 'failed', message: expect.stringContaining('GroupQueryAttention') });
    const done = notes.flatMap((note) => (note.note === 'prefill' ? [note.done] : []));
    expect(Math.max(...done)).toBeGreaterThan(200);
    expect(Math.max(...done)).toBeLessThanOrEqual(512);
    expect(ids).toEqual([]);
    expect((await neighbour).finish.reason).toBe('max_tokens');
    expect((await bench.run({ maxTokens: 30 })).ids).toEqual(before.ids);
    expect(bench.engine.cache.free).toBe(3);
  });

  it('leaves no ids in the slot for a later prompt', async () => {
    const { finish } = await bench.run({ prompt: prompt(560, 1), maxTokens: 2 });
    expect(finish.reason).toBe('failed');
    const again = await bench.run({ prompt: prompt(400, 1), maxTokens: 2 });
    expect(again.finish).toMatchObject({ reason: 'max_tokens', cachedTokens: 0 });
  });

  it('in decode ends the sequences of the run, after their earlier tokens', async () => {
    const { ids, finish } = await bench.run({ prompt: prompt(500), maxTokens: 50 });
    expect(finish).toMatchObject({ reason: 'failed', message: expect.stringContaining('GroupQueryAttention') });
    expect(ids).toHaveLength(13);
    expect((await bench.run({ maxTokens: 3 })).finish.reason).toBe('max_tokens');
  });
});

describe('a sequence whose logits cannot be drawn from', () => {
  it('fails without affecting other sequences', async () => {
    const neighbour = bench.run({ prompt: prompt(8, 2), maxTokens: 30 });
    const masked = await bench.run({ minTokens: 1, endIds: Array.from({ length: 1024 }, (_, id) => id) });
    expect(masked.finish).toMatchObject({ reason: 'failed', message: expect.stringContaining('-Infinity') });
    const infinite = await bench.run({ sampling: { frequencyPenalty: -1e300 } });
    expect(infinite.finish).toMatchObject({ reason: 'failed', message: expect.stringContaining('Infinity') });
    expect(infinite.ids).toHaveLength(1);
    expect((await neighbour).ids).toHaveLength(30);
  });
});

describe('close', () => {
  it('stops the steps', async () => {
    const brief = new Bench();
    const asked = request({ maxTokens: 200 });
    brief.submit(asked);
    await brief.afterTokens(asked.id, 2);
    brief.engine.close();
    const told = brief.reports.length;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(brief.reports.length).toBe(told);
  });
});
