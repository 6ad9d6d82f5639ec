import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Begun, type CacheInput, KvCache, type KvCacheOptions } from '../../../src/engine/cache/kv-cache.ts';

/** Takes a slot for a sequence and begins it. */
function start(cache: KvCache, ids: number[], more: Partial<CacheInput> = {}): Begun | undefined {
  const input = { ids, salt: '', ...more };
  const slot = cache.take(input);
  return slot === undefined ? undefined : cache.begin(slot, input);
}

/** A cache whose slots contain these ids and were released in this order. */
function holding(...contents: number[][]): KvCache {
  const cache = new KvCache({ slots: contents.length, capacity: 16 });
  const taken = contents.map((ids) => ({ ids, slot: start(cache, [0])!.slot }));
  for (const { ids, slot } of taken) cache.commit(slot, ids);
  for (const { slot } of taken) cache.release(slot);
  return cache;
}

describe('a slot', () => {
  it('is taken for the prompt with the longest common prefix', () => {
    const cache = holding([1, 2, 9], [1, 2, 3, 4], [5]);
    expect(start(cache, [1, 2, 3, 4, 5, 6])).toEqual({ slot: 1, cachedTokens: 4 });
    expect(start(cache, [1, 2, 3, 4, 5, 6])).toEqual({ slot: 0, cachedTokens: 2, divergedAt: 2 });
    expect(start(cache, [1, 2, 3, 4, 5, 6])).toEqual({ slot: 2, cachedTokens: 0, divergedAt: 0 });
    expect(start(cache, [1])).toBeUndefined();
  });

  it('leaves the last two ids of the prompt to compute, even if it contains all of them', () => {
    expect(start(holding([1, 2, 3, 4]), [1, 2, 3])).toEqual({ slot: 0, cachedTokens: 1 });
    expect(start(holding([1, 2, 3, 4]), [1, 2, 3, 4, 5])).toEqual({ slot: 0, cachedTokens: 3 });
    expect(start(holding([1]), [1])).toEqual({ slot: 0, cachedTokens: 0 });
  });

  it('drops the ids past the common prefix when it is taken', () => {
    const cache = holding([1, 2, 3, 4]);
    start(cache, [1, 2, 7, 8]);
    expect(cache.length(0)).toBe(2);
    cache.commit(0, [7, 8]);
    cache.release(0);
    expect(start(cache, [1, 2, 7, 8, 9, 9])).toEqual({ slot: 0, cachedTokens: 4 });
  });

  it('is the one released first among equals, an unused one before all others', () => {
    const cache = new KvCache({ slots: 3, capacity: 8 });
    expect(start(cache, [5])?.slot).toBe(0);
    cache.release(0);
    expect(start(cache, [5])?.slot).toBe(1);
    expect(start(cache, [5])?.slot).toBe(2);
    cache.release(2);
    cache.release(1);
    expect(start(cache, [5])?.slot).toBe(0);
    expect(start(cache, [5])?.slot).toBe(2);
  });

  it('matches no prompt after it was truncated to nothing', () => {
    const cache = holding([1, 2, 3]);
    cache.truncate(0, 0);
    expect(start(cache, [1, 2, 3])).toEqual({ slot: 0, cachedTokens: 0 });
  });

  it('refuses more ids than its capacity', () => {
    const cache = new KvCache({ slots: 1, capacity: 3 });
    start(cache, [1]);
    cache.commit(0, [1, 2, 3]);
    expect(() => cache.commit(0, [4])).toThrow('full');
  });
});

it('keeps only common prefixes, for random prompts in random order', () => {
  const ids = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.tuple(ids, fc.boolean()), { maxLength: 40 }), (prompts) => {
      const cache = new KvCache({ slots: 3, capacity: 8 });
      const rows: number[][] = [[], [], []];
      const busy: number[] = [];
      for (const [prompt, finishFirst] of prompts) {
        if (finishFirst || busy.length === 3) for (const slot of busy.splice(0, 1)) cache.release(slot);
        const { slot, cachedTokens } = start(cache, prompt)!;
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
    const cache = new KvCache({ slots: 1, capacity: 16, truncates: false });
    cache.commit(start(cache, [0])!.slot, ids);
    cache.release(0);
    return cache;
  };

  it('is reused by a prompt that continues its ids', () => {
    expect(start(whole(1, 2, 3), [1, 2, 3, 4, 5])).toEqual({ slot: 0, cachedTokens: 3 });
  });

  it('is emptied for a prompt that differs, even at the end', () => {
    expect(start(whole(1, 2, 3), [1, 2, 9, 4, 5])).toEqual({ slot: 0, cachedTokens: 0, divergedAt: 2 });
    expect(start(whole(1, 2, 3), [1, 2, 3, 4])).toEqual({ slot: 0, cachedTokens: 0 });
  });

  it('drops all ids when it is truncated', () => {
    const cache = whole(1, 2, 3);
    cache.truncate(0, 3);
    expect(cache.length(0)).toBe(3);
    cache.truncate(0, 2);
    expect(cache.length(0)).toBe(0);
  });
});

/** A cache with copies: 2 slots and 2 rows that store ids, 1 byte for each token. */
function copying(options: Partial<KvCacheOptions> = {}): KvCache {
  return new KvCache({
    slots: 2,
    capacity: 400,
    storedRows: 2,
    memory: { bytesFor: (tokens) => tokens, releaseRow: (_, tokens) => tokens },
    copyRow: () => true,
    ...options,
  });
}

const idsOf = (salt: number, length = 100): number[] => Array.from({ length }, (_, index) => 1000 * salt + index);

/** Runs a sequence to its end: computes the input, and generates these ids. Takes the memory for both. */
function runWhole(cache: KvCache, ids: number[], output: number[] = [], more: Partial<CacheInput> = {}): Begun {
  const begun = start(cache, ids, more)!;
  expect(cache.budget.take(begun.slot, ids.length + output.length)).toBe(true);
  cache.commit(begun.slot, ids.slice(begun.cachedTokens));
  for (const id of output) cache.commit(begun.slot, [id]);
  cache.release(begun.slot);
  return begun;
}

describe('the prefix of another row', () => {
  /** Slot 0 runs: it computed a prompt of 50 ids and generated 3 more. */
  const ids = idsOf(1, 60);
  const running = (): KvCache => {
    const cache = copying();
    start(cache, [0]);
    cache.commit(0, ids.slice(0, 50));
    for (const id of ids.slice(50, 53)) cache.commit(0, [id]);
    return cache;
  };

  it('is copied while its sequence runs, as far as it was computed as a prompt', () => {
    expect(start(running(), ids)).toEqual({ slot: 1, cachedTokens: 50, copiedFrom: { row: 0, running: true } });
    expect(start(running(), [...ids.slice(0, 40), 7, 7])).toMatchObject({ cachedTokens: 40, divergedAt: 40 });
  });

  it('has at least 32 ids, and leaves two of the input to compute', () => {
    expect(start(running(), ids.slice(0, 34))).toMatchObject({ cachedTokens: 32 });
    expect(start(running(), ids.slice(0, 33))).toEqual({ slot: 1, cachedTokens: 0 });
    expect(start(running(), ids.slice(0, 33), { related: true })).toMatchObject({ cachedTokens: 31 });
  });

  it('includes generated ids if the input is the same, or if it continues an ended sequence', () => {
    expect(start(running(), ids, { related: true })).toMatchObject({ cachedTokens: 53 });
    const cache = running();
    cache.release(0);
    // Both slots are free, and slot 0 is not the one that the second sequence gets.
    expect(start(cache, ids)).toEqual({ slot: 0, cachedTokens: 53 });
  });

  it('includes the generated ids with which its sequence began, if the input has all of them', () => {
    const turns = (): KvCache => {
      const cache = running();
      cache.release(0);
      start(cache, ids);
      cache.commit(0, ids.slice(53));
      return cache;
    };
    expect(start(turns(), ids)).toMatchObject({ slot: 1, cachedTokens: 58 });
    expect(start(turns(), ids.slice(0, 57))).toMatchObject({ cachedTokens: 55 });
    expect(start(turns(), [...ids.slice(0, 52), 7, 7])).toMatchObject({ cachedTokens: 50 });
    // A row that is cut before the end of these ids has no such beginning any more.
    const cut = turns();
    cut.truncate(0, 52);
    expect(start(cut, ids)).toMatchObject({ cachedTokens: 50 });
  });

  it('is not used by an input with another salt, or by one that must be computed', () => {
    const cache = running();
    cache.release(0);
    expect(start(cache, ids, { salt: 'b' })).toEqual({ slot: 1, cachedTokens: 0 });
    cache.release(1);
    expect(start(cache, ids, { whole: true })).toEqual({ slot: 1, cachedTokens: 0 });
  });

  it('is not copied if the copy fails, or does not pay', () => {
    for (const options of [{ copyRow: () => false }, { copyPays: () => false }]) {
      const cache = copying(options);
      start(cache, [0]);
      cache.commit(0, ids);
      expect(start(cache, ids)).toMatchObject({ slot: 1, cachedTokens: 0 });
    }
  });

  it('fails, and leaves an empty slot: the copy can have overwritten a part of its ids', () => {
    const long = idsOf(1, 150);
    for (const works of [true, false]) {
      const cache = copying({ copyRow: () => works });
      start(cache, [0]);
      cache.commit(0, long.slice(0, 120));
      start(cache, [0]);
      cache.commit(1, long.slice(0, 40));
      cache.release(1);
      expect(start(cache, long)).toMatchObject({ slot: 1, cachedTokens: works ? 120 : 0 });
    }
  });
});

describe('the ids of ended sequences', () => {
  it('are stored when other sequences need the slots, and are found later', () => {
    const cache = copying();
    for (const salt of [1, 2, 3, 4]) runWhole(cache, idsOf(salt));
    for (const salt of [1, 2, 3, 4]) expect(cache.available({ ids: [...idsOf(salt), 9, 9], salt: '' })).toBe(100);
    expect(runWhole(cache, [...idsOf(1), 9, 9])).toMatchObject({ cachedTokens: 100 });
    expect(cache.takeEvictions()).toMatchObject({ tokens: 100 });
  });

  it('are dropped if they are few, or if another row begins with them', () => {
    const cache = copying({ slots: 1 });
    runWhole(cache, idsOf(1, 20));
    runWhole(cache, idsOf(2, 100));
    runWhole(cache, idsOf(2, 150));
    runWhole(cache, idsOf(3, 100));
    expect(cache.available({ ids: [...idsOf(1, 20), 9, 9], salt: '' })).toBe(0);
    expect([1, 2].map((row) => cache.length(row)).sort()).toEqual([0, 150]);
    expect(cache.takeEvictions()).toBeUndefined();
  });

  it('stay where they are if the next sequence continues them', () => {
    const copies: number[] = [];
    const cache = copying({ copyRow: ({ length }) => copies.push(length) > 0 });
    const turn = runWhole(cache, idsOf(1, 100), [7, 8, 9]);
    expect(runWhole(cache, [...idsOf(1, 100), 7, 8, 9, 10, 11])).toEqual({ slot: turn.slot, cachedTokens: 103 });
    expect(copies).toEqual([]);
  });

  it('of two conversations with one beginning are both kept', () => {
    const cache = copying();
    const [one, other] = [
      [...idsOf(1, 100), ...idsOf(2, 100)],
      [...idsOf(1, 100), ...idsOf(3, 100)],
    ];
    runWhole(cache, one);
    expect(runWhole(cache, other)).toMatchObject({
      cachedTokens: 100,
      copiedFrom: { running: false },
      divergedAt: 100,
    });
    for (const ids of [one, other]) expect(cache.available({ ids: [...ids, 9, 9], salt: '' })).toBe(200);
  });
});

describe('the budget', () => {
  it('gets all memory of a slot that keeps no ids, if the memory cannot be given back in part', () => {
    const memory = {
      bytesFor: (tokens: number) => Math.ceil(tokens / 100) * 100,
      releaseRow: (_: number, tokens: number) => (tokens === 0 ? 0 : 300),
    };
    const cache = new KvCache({ slots: 1, capacity: 400, memory });
    runWhole(cache, idsOf(1, 300));
    expect(cache.budget.used).toBe(300);
    start(cache, [...idsOf(1, 50), 9, 9]);
    expect(cache.budget.used).toBe(300);
    cache.release(0);
    start(cache, idsOf(2, 50));
    expect(cache.budget.used).toBe(0);
  });

  it('evicts the least recently used ids first, and never those of a running sequence', () => {
    const cache = copying({ budget: 350 });
    for (const salt of [1, 2, 3]) runWhole(cache, idsOf(salt));
    expect(cache.budget.used).toBe(300);
    expect(runWhole(cache, idsOf(4))).toMatchObject({ cachedTokens: 0 });
    expect(cache.takeEvictions()).toEqual({ rows: 1, tokens: 100 });
    expect([1, 2, 3, 4].map((salt) => cache.available({ ids: [...idsOf(salt), 9, 9], salt: '' }))).toEqual([
      0, 100, 100, 100,
    ]);
    expect(cache.budget.used).toBeLessThanOrEqual(350);
  });

  it('is refused to a row if running sequences hold it', () => {
    const cache = copying({ budget: 150 });
    const one = start(cache, idsOf(1))!;
    expect(cache.budget.take(one.slot, 100)).toBe(true);
    const other = start(cache, idsOf(2))!;
    expect(cache.budget.take(other.slot, 60)).toBe(false);
    expect(cache.budget.take(other.slot, 50)).toBe(true);
    cache.release(one.slot);
    expect(cache.budget.take(other.slot, 150)).toBe(true);
    expect(cache.length(one.slot)).toBe(0);
  });

  it('is not exceeded by copies', () => {
    const cache = copying({ budget: 150 });
    start(cache, idsOf(1));
    cache.budget.take(0, 100);
    cache.commit(0, idsOf(1));
    expect(start(cache, [...idsOf(1), 9, 9])).toEqual({ slot: 1, cachedTokens: 0 });
  });

  it('gets back the memory of a slot whose next sequence is short', () => {
    const released: [number, number][] = [];
    const cache = copying({
      slots: 1,
      storedRows: 0,
      memory: {
        bytesFor: (tokens) => tokens,
        releaseRow: (row, tokens) => {
          released.push([row, tokens]);
          return tokens;
        },
      },
    });
    runWhole(cache, idsOf(1, 300));
    runWhole(cache, idsOf(2, 40));
    expect(released).toEqual([[0, 40]]);
    expect(cache.budget.used).toBe(40);
  });
});

it('finds only ids that are in the row, for random sequences in random order', () => {
  const input = fc.record({
    ids: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 90 }),
    prefix: fc.integer({ min: 0, max: 2 }),
    salt: fc.constantFrom('', 'b'),
    output: fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 40 }),
    ends: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(input, { maxLength: 30 }), fc.integer({ min: 250, max: 700 }), (inputs, budget) => {
      /** The ids that are really in each row. */
      const rows: { ids: number[]; salt: string }[] = Array.from({ length: 5 }, () => ({ ids: [], salt: '' }));
      const cache = copying({
        slots: 3,
        budget,
        copyRow: ({ row, length }, to) => {
          expect(rows[row]!.ids.length).toBeGreaterThanOrEqual(length);
          rows[to] = { ...rows[row]!, ids: rows[row]!.ids.slice(0, length) };
          return true;
        },
      });
      const busy: number[] = [];
      for (const { ids: tail, prefix, salt, output, ends } of inputs) {
        while (busy.length > 0 && (ends || busy.length === 3)) cache.release(busy.shift()!);
        const ids = [...idsOf(0, 40 * prefix), ...tail];
        const begun = start(cache, ids, { salt })!;
        const row = rows[begun.slot]!;
        expect(row.ids.slice(0, begun.cachedTokens)).toEqual(ids.slice(0, begun.cachedTokens));
        if (begun.cachedTokens > 0) expect(row.salt).toBe(salt);
        expect(cache.length(begun.slot)).toBe(begun.cachedTokens);
        if (cache.budget.take(begun.slot, ids.length + output.length)) {
          cache.commit(begun.slot, ids.slice(begun.cachedTokens));
          for (const id of output) cache.commit(begun.slot, [id]);
          rows[begun.slot] = { ids: [...ids, ...output], salt };
        } else rows[begun.slot] = { ids: ids.slice(0, begun.cachedTokens), salt };
        busy.push(begun.slot);
        expect(cache.budget.used).toBeLessThanOrEqual(budget);
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});
