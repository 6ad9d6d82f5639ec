import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoadError } from '../../../src/engine/load/load-error.ts';
import { type Needs, planMemory, type Requested } from '../../../src/engine/load/memory-plan.ts';
import type { CacheGrowth } from '../../../src/engine/ort/cache/growth.ts';
import type { Reason } from '../../../src/protocol/reasons.ts';

const MIB = 2 ** 20;

/** A model of a thousand bytes whose cache takes ten bytes a token. */
const needs = (free: number | undefined, growth: CacheGrowth = 'pages'): Needs => ({
  device: 'cpu',
  weights: 1000,
  rowBytes: (tokens) => 10 * tokens,
  growth,
  logits: (slots) => 20 + 10 * slots,
  work: 100,
  free,
});
/** The bytes besides the cache for 16 slots. */
const FIXED = 1000 + 180 + 100;

/** The reason of the refusal; undefined for a plan that fits. */
function refusal(given: Needs, requested: Requested): Reason | undefined {
  try {
    planMemory(given, requested);
  } catch (error) {
    if (error instanceof LoadError) return error.reason;
    throw error;
  }
  return undefined;
}

describe('a cache that takes memory as it is used', () => {
  it('has 16 slots for auto, whatever the context, and half of the memory besides the model', () => {
    for (const context of [10_000, 131_072, 1_048_576])
      expect(planMemory(needs(FIXED + 2_000_000), { slots: 'auto', context })).toMatchObject({
        slots: 16,
        rows: 64,
        cache: 1_000_000,
        budget: 1_000_000,
        total: FIXED + 1_000_000,
      });
  });

  it('lists the sizes, for the slots and the memory of the settings', () => {
    expect(planMemory(needs(10_000), { slots: 3, context: 100, cacheMemory: 3000 })).toEqual({
      slots: 3,
      rows: 51,
      context: 100,
      weights: 1000,
      cache: 3000,
      budget: 3000,
      logits: 50,
      work: 100,
      total: 4150,
      free: 10_000,
    });
  });

  it('counts memory that only the opening takes, and names the part of the weights that is copied', () => {
    const given = { ...needs(10_000), copied: 600, opening: 500 };
    const requested = { slots: 3, context: 100, cacheMemory: 3000 };
    expect(planMemory(given, requested)).toMatchObject({ weights: 1000, copied: 600, opening: 500, total: 4650 });
    expect(refusal({ ...given, free: 4649 }, requested)).toMatchObject({ code: 'does_not_fit' });
  });

  it('takes for auto no more than two full rows for each slot, and for a setting no more than all rows', () => {
    const plenty = needs(1e9);
    expect(planMemory(plenty, { slots: 4, context: 100 }).cache).toBe(2 * 4 * 1000);
    expect(planMemory(plenty, { slots: 4, context: 100, cacheMemory: 1e8 }).cache).toBe((4 + 48) * 1000);
  });

  it('shortens the rows to the tokens that the memory holds, and keeps the slots', () => {
    const plan = planMemory(needs(FIXED + 100_000), { slots: 'auto', context: 131_072 });
    expect(plan).toMatchObject({ slots: 16, context: 5000, requestedContext: 131_072, cache: 50_000 });
    const full = planMemory(needs(FIXED + 100_000), { slots: 'auto', context: 5000 });
    expect(full).toMatchObject({ context: 5000 });
    expect(full).not.toHaveProperty('requestedContext');
  });

  it('has for auto at least one useful row, if it fits', () => {
    expect(planMemory(needs(FIXED + 3000), { slots: 'auto', context: 1000 })).toMatchObject({
      context: 256,
      cache: 2560,
    });
    expect(planMemory(needs(FIXED + 1000), { slots: 'auto', context: 100 })).toMatchObject({
      context: 100,
      cache: 1000,
    });
    expect(refusal(needs(FIXED + 2000), { slots: 'auto', context: 1000 })).toMatchObject({ code: 'does_not_fit' });
  });

  it.each([
    ['runs' as const, 1],
    ['doubling' as const, 0.5],
  ])('keeps room for the run that makes a row longer: %s', (growth, extra) => {
    const plan = planMemory(needs(1e9, growth), { slots: 2, context: 10_000, cacheMemory: 90_000 });
    expect(plan.context).toBe(plan.budget / 10);
    expect(plan.budget * (1 + extra)).toBeLessThanOrEqual(90_000);
    const large = planMemory(needs(1e9, growth), { slots: 2, context: 1000, cacheMemory: 25_000 });
    expect(large).toMatchObject({ context: 1000, rows: growth === 'runs' ? 2 : 50 });
    expect(large.budget).toBe(large.cache - extra * 10_000);
  });

  it('refuses nothing if the free memory is unknown, and has the memory of four rows for auto', () => {
    const blind = planMemory(needs(undefined), { slots: 'auto', context: 1000 });
    expect(blind).toMatchObject({ slots: 16, cache: 40_000 });
    expect(blind).not.toHaveProperty('free');
  });
});

describe('a cache that is allocated at once', () => {
  const atOnce = (free: number | undefined): Needs => needs(free, 'none');

  it('lists the sizes, for the slots of the setting', () => {
    expect(planMemory(atOnce(10_000), { slots: 3, context: 100 })).toMatchObject({
      slots: 3,
      rows: 3,
      cache: 3000,
      budget: 3000,
      total: 4150,
    });
  });

  it('chooses for auto the slots that fit a quarter of the free memory, 1 to 16', () => {
    const slots = (free: number): number => planMemory(atOnce(free), { slots: 'auto', context: 100 }).slots;
    expect(slots(4 * 3500)).toBe(3);
    expect(slots(2200)).toBe(1);
    expect(slots(4400)).toBe(1);
    expect(slots(1e9)).toBe(16);
  });

  it('chooses for auto no more slots than fit beside the weights', () => {
    const heavy = { ...atOnce(20_000), weights: 18_000 };
    expect(planMemory(heavy, { slots: 'auto', context: 100 }).slots).toBe(1);
    expect(() => planMemory({ ...heavy, weights: 19_000 }, { slots: 'auto', context: 100 })).toThrow(LoadError);
  });

  it('has as many slots as the memory of the setting holds, then shorter rows', () => {
    expect(planMemory(atOnce(1e9), { slots: 'auto', context: 1000, cacheMemory: 35_000 })).toMatchObject({
      slots: 3,
      context: 1000,
      cache: 30_000,
    });
    expect(planMemory(atOnce(1e9), { slots: 'auto', context: 1000, cacheMemory: 6000 })).toMatchObject({
      slots: 1,
      context: 600,
      requestedContext: 1000,
    });
    expect(planMemory(atOnce(1e9), { slots: 4, context: 1000, cacheMemory: 20_000 })).toMatchObject({
      slots: 4,
      context: 500,
      cache: 20_000,
    });
  });

  it('has for auto the slots that leave the memory of a row through which others are moved', () => {
    const moving: Needs = { ...atOnce(1e9), movesRows: true };
    const slots = (cacheMemory: number) => planMemory(moving, { slots: 'auto', context: 1000, cacheMemory });
    // One slot alone needs no such row.
    expect(slots(19_000)).toMatchObject({ slots: 1, context: 1000, cache: 10_000 });
    expect(slots(29_000)).toMatchObject({ slots: 1, context: 1000, cache: 10_000 });
    expect(slots(39_000)).toMatchObject({ slots: 2, context: 1000, cache: 30_000 });
    expect(slots(1e9)).toMatchObject({ slots: 16, context: 1000, cache: 170_000 });
    const quarter = { ...moving, free: 4 * 3500 };
    expect(planMemory(quarter, { slots: 'auto', context: 100 })).toMatchObject({ slots: 2, cache: 3000 });
  });

  it('shares the memory of the slots only, and not that of the row through which others are moved', () => {
    const moving: Needs = { ...atOnce(1e9), movesRows: true };
    expect(planMemory(moving, { slots: 3, context: 100 })).toMatchObject({ cache: 4000, budget: 3000 });
    expect(planMemory(moving, { slots: 1, context: 100 })).toMatchObject({ cache: 1000, budget: 1000 });
  });

  it('chooses four slots for auto if the free memory is unknown', () => {
    expect(planMemory(atOnce(undefined), { slots: 'auto', context: 1000 })).toMatchObject({ slots: 4, cache: 40_000 });
  });

  it('that does not fit is refused with fewer slots, or with one slot of a shorter context', () => {
    expect(refusal(atOnce(5_000_000), { slots: 8, context: 100_000 })).toMatchObject({
      code: 'does_not_fit',
      device: 'cpu',
      plan: { slots: 8, context: 100_000, cache: 8_000_000, total: 8_001_200, free: 5_000_000 },
      suggestion: { slots: 4 },
    });
    expect(refusal(atOnce(500_000), { slots: 8, context: 100_000 })).toMatchObject({
      suggestion: { slots: 1, context: 49_872 },
    });
  });
});

describe('a refusal', () => {
  it('suggests the memory that the model leaves, if the setting takes more', () => {
    const requested = { slots: 2, context: 1_000_000, cacheMemory: 8 * MIB };
    expect(refusal(needs(5.5 * MIB), requested)).toMatchObject({
      code: 'does_not_fit',
      plan: { cache: 8 * MIB },
      suggestion: { cacheMemory: 5 * MIB },
    });
  });

  it('suggests fewer slots if their logits leave no memory', () => {
    const large: Needs = { ...needs(3 * MIB), logits: (slots) => slots * MIB };
    expect(refusal(large, { slots: 8, context: 100 })).toMatchObject({ suggestion: { slots: 1 } });
    expect(refusal(large, { slots: 8, context: 100, cacheMemory: MIB })).toMatchObject({
      suggestion: { slots: 1, cacheMemory: MIB },
    });
  });

  it('suggests nothing if the weights alone are too large', () => {
    expect(refusal(needs(900), { slots: 1, context: 100 })).not.toHaveProperty('suggestion');
    expect(refusal(needs(900, 'none'), { slots: 1, context: 100 })).not.toHaveProperty('suggestion');
  });

  it('names the least memory if the setting holds no useful row', () => {
    expect(refusal(needs(1e9), { slots: 4, context: 1000, cacheMemory: 2000 })).toEqual({
      code: 'cache_too_small',
      cacheMemory: 2000,
      tokens: 200,
      least: 256,
      leastMemory: MIB,
    });
    const wide = { ...needs(1e12), rowBytes: (tokens: number) => 46_080 * tokens };
    const reason = refusal(wide, { slots: 4, context: 1000, cacheMemory: MIB });
    expect(reason).toMatchObject({ code: 'cache_too_small', tokens: 22, leastMemory: 12 * MIB });
    expect(planMemory(wide, { slots: 4, context: 1000, cacheMemory: 12 * MIB }).context).toBeGreaterThanOrEqual(256);
  });

  it('suggests values that fit', () => {
    const growths = fc.constantFrom<CacheGrowth>('pages', 'doubling', 'runs', 'none');
    const memory = fc.option(fc.integer({ min: 1, max: 64 }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 64 * MIB }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 16, max: 1e7 }),
        memory,
        growths,
        (free, slots, context, mib, growth) => {
          const model = { ...needs(free, growth), logits: (count: number) => count * 100_000 };
          const requested = { slots, context, ...(mib !== undefined && { cacheMemory: mib * MIB }) };
          const reason = refusal(model, requested);
          if (reason?.code !== 'does_not_fit' || !reason.suggestion) return;
          const changed = planMemory(model, { ...requested, ...reason.suggestion });
          expect(changed.total).toBeLessThanOrEqual(free);
        },
      ),
    );
  });
});
