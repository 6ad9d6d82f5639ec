import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KvCache } from '../../src/engine/kv-cache.ts';

/** A cache whose slots contain these ids and were released in this order. */
function holding(...contents: number[][]): KvCache {
  const cache = new KvCache(contents.length, 16);
  const taken = contents.map((ids) => ({ ids, slot: cache.take([0])!.slot }));
  for (const { ids, slot } of taken) cache.commit(slot, ids);
  for (const { slot } of taken) cache.release(slot);
  return cache;
}

describe('a slot', () => {
  it('is taken for the prompt with the longest common prefix', () => {
    const cache = holding([1, 2, 9], [1, 2, 3, 4], [5]);
    expect(cache.take([1, 2, 3, 4, 5, 6])).toEqual({ slot: 1, cachedTokens: 4 });
    expect(cache.take([1, 2, 3, 4, 5, 6])).toEqual({ slot: 0, cachedTokens: 2, divergedAt: 2 });
    expect(cache.take([1, 2, 3, 4, 5, 6])).toEqual({ slot: 2, cachedTokens: 0, divergedAt: 0 });
    expect(cache.take([1])).toBeUndefined();
  });

  it('leaves the last two ids of the prompt to compute, even if it contains all of them', () => {
    expect(holding([1, 2, 3, 4]).take([1, 2, 3])).toEqual({ slot: 0, cachedTokens: 1 });
    expect(holding([1, 2, 3, 4]).take([1, 2, 3, 4, 5])).toEqual({ slot: 0, cachedTokens: 3 });
    expect(holding([1]).take([1])).toEqual({ slot: 0, cachedTokens: 0 });
  });

  it('drops the ids past the common prefix when it is taken', () => {
    const cache = holding([1, 2, 3, 4]);
    cache.take([1, 2, 7, 8]);
    expect(cache.length(0)).toBe(2);
    cache.commit(0, [7, 8]);
    cache.release(0);
    expect(cache.take([1, 2, 7, 8, 9, 9])).toEqual({ slot: 0, cachedTokens: 4 });
  });

  it('is the one released first among equals, an unused one before all others', () => {
    const cache = new KvCache(3, 8);
    expect(cache.take([5])?.slot).toBe(0);
    cache.release(0);
    expect(cache.take([5])?.slot).toBe(1);
    expect(cache.take([5])?.slot).toBe(2);
    cache.release(2);
    cache.release(1);
    expect(cache.take([5])?.slot).toBe(0);
    expect(cache.take([5])?.slot).toBe(2);
  });

  it('matches no prompt after it was truncated to nothing', () => {
    const cache = holding([1, 2, 3]);
    cache.truncate(0, 0);
    expect(cache.take([1, 2, 3])).toEqual({ slot: 0, cachedTokens: 0 });
  });

  it('refuses more ids than its capacity', () => {
    const cache = new KvCache(1, 3);
    cache.take([1]);
    cache.commit(0, [1, 2, 3]);
    expect(() => cache.commit(0, [4])).toThrow('full');
  });
});

it('keeps only common prefixes, for random prompts in random order', () => {
  const ids = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.tuple(ids, fc.boolean()), { maxLength: 40 }), (prompts) => {
      const cache = new KvCache(3, 8);
      const rows: number[][] = [[], [], []];
      const busy: number[] = [];
      for (const [prompt, finishFirst] of prompts) {
        if (finishFirst || busy.length === 3) for (const slot of busy.splice(0, 1)) cache.release(slot);
        const { slot, cachedTokens } = cache.take(prompt)!;
        expect(busy).not.toContain(slot);
        expect(cachedTokens).toBeLessThan(prompt.length);
        expect(rows[slot]!.slice(0, cachedTokens)).toEqual(prompt.slice(0, cachedTokens));
        busy.push(slot);
        cache.commit(slot, prompt.slice(cachedTokens));
        rows[slot] = prompt;
        expect(cache.free).toBe(3 - busy.length);
        expect(rows.map((_, index) => cache.length(index))).toEqual(rows.map((row) => row.length));
      }
    }),
    { seed: 1 },
  );
});

describe('a slot of a cache that cannot drop a part', () => {
  const whole = (...ids: number[]): KvCache => {
    const cache = new KvCache(1, 16, false);
    cache.commit(cache.take([0])!.slot, ids);
    cache.release(0);
    return cache;
  };

  it('is reused by a prompt that continues its ids', () => {
    expect(whole(1, 2, 3).take([1, 2, 3, 4, 5])).toEqual({ slot: 0, cachedTokens: 3 });
  });

  it('is emptied for a prompt that differs, even at the end', () => {
    expect(whole(1, 2, 3).take([1, 2, 9, 4, 5])).toEqual({ slot: 0, cachedTokens: 0, divergedAt: 2 });
    expect(whole(1, 2, 3).take([1, 2, 3, 4])).toEqual({ slot: 0, cachedTokens: 0 });
  });

  it('drops all ids when it is truncated', () => {
    const cache = whole(1, 2, 3);
    cache.truncate(0, 3);
    expect(cache.length(0)).toBe(3);
    cache.truncate(0, 2);
    expect(cache.length(0)).toBe(0);
  });
});
