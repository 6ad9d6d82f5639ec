import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KvCache } from '../../../src/engine/cache/kv-cache.ts';

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

describe('the source of a copy', () => {
  /** Slot 0 computed a prompt of 50 ids and generated 3 more; slot 1 is taken and empty. */
  const ids = Array.from({ length: 60 }, (_, index) => index + 1);
  const decoded = (): KvCache => {
    const cache = new KvCache(3, 64);
    cache.take([0]);
    cache.commit(0, ids.slice(0, 50));
    for (const id of ids.slice(50, 53)) cache.commit(0, [id]);
    cache.take([0]);
    return cache;
  };

  it('is a slot with a longer prefix, of which the last two ids of the prompt are left to compute', () => {
    const cache = decoded();
    expect(cache.sourceFor(1, ids.slice(0, 40), true)).toEqual({ slot: 0, length: 38 });
    expect(cache.sourceFor(1, ids, true)).toEqual({ slot: 0, length: 53 });
    expect(cache.sourceFor(1, [9, ...ids], true)).toBeUndefined();
    expect(cache.sourceFor(0, ids, true)).toBeUndefined();
    expect(cache.sourceFor(1, [1], true)).toBeUndefined();
  });

  it('gives an unrelated sequence only ids that were computed as a prompt, and at least 32', () => {
    const cache = decoded();
    expect(cache.sourceFor(1, ids, false)).toEqual({ slot: 0, length: 50 });
    expect(cache.sourceFor(1, ids.slice(0, 34), false)).toEqual({ slot: 0, length: 32 });
    expect(cache.sourceFor(1, ids.slice(0, 33), false)).toBeUndefined();
    expect(cache.sourceFor(1, ids.slice(0, 33), true)).toEqual({ slot: 0, length: 31 });
  });

  it('that continues a prompt after generated ids gives the part before them', () => {
    const cache = decoded();
    cache.release(0);
    const { slot } = cache.take(ids)!;
    expect(slot).toBe(0);
    cache.commit(0, ids.slice(53));
    expect(cache.sourceFor(1, ids, false)).toEqual({ slot: 0, length: 50 });
    expect(cache.sourceFor(1, ids, true)).toEqual({ slot: 0, length: 58 });
  });

  it('is copied with the knowledge of its prompt, and dropped ids are forgotten', () => {
    const cache = decoded();
    cache.copy({ slot: 0, length: 53 }, 1);
    expect(cache.length(1)).toBe(53);
    expect(cache.take([0])?.slot).toBe(2);
    expect(cache.sourceFor(2, ids, false)).toEqual({ slot: 0, length: 50 });
    cache.truncate(0, 40);
    expect(cache.sourceFor(2, ids, false)).toEqual({ slot: 1, length: 50 });
    cache.truncate(1, 39);
    cache.commit(0, [41]);
    expect(cache.sourceFor(2, ids, false)).toEqual({ slot: 0, length: 40 });
  });

  it('is not needed by a prompt that must be computed: its slot is emptied', () => {
    const cache = decoded();
    cache.release(0);
    expect(cache.take(ids, true)).toEqual({ slot: 0, cachedTokens: 0 });
    expect(cache.length(0)).toBe(0);
  });
});
