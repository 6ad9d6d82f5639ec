import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoadError } from '../../../src/engine/load/load-error.ts';
import { type Needs, planMemory } from '../../../src/engine/load/memory-plan.ts';
import type { Reason } from '../../../src/protocol/reasons.ts';

/** A model of a thousand bytes whose cache takes ten bytes a token. */
const needs = (free: number | undefined): Needs => ({
  device: 'cpu',
  weights: 1000,
  rowBytes: (tokens) => 10 * tokens,
  spareRows: 0,
  logits: (slots) => 20 + 10 * slots,
  work: 100,
  free,
});

describe('a plan of memory', () => {
  it('lists the sizes, for the slots of the setting', () => {
    expect(planMemory(needs(10_000), { slots: 3, context: 100 })).toEqual({
      slots: 3,
      context: 100,
      weights: 1000,
      cache: 3000,
      logits: 50,
      work: 100,
      total: 4150,
      free: 10_000,
    });
  });

  it('chooses for auto the slots that fit a quarter of the free memory, 1 to 16', () => {
    const slots = (free: number): number => planMemory(needs(free), { slots: 'auto', context: 100 }).slots;
    expect(slots(4 * 3500)).toBe(3);
    expect(slots(2200)).toBe(1);
    expect(slots(4400)).toBe(1);
    expect(slots(1e9)).toBe(16);
  });

  it('chooses for auto no more slots than fit beside the weights', () => {
    const heavy = { ...needs(20_000), weights: 18_000 };
    expect(planMemory(heavy, { slots: 'auto', context: 100 }).slots).toBe(1);
    expect(() => planMemory({ ...heavy, weights: 19_000 }, { slots: 'auto', context: 100 })).toThrow(LoadError);
  });

  it('includes the spare row of a growing cache', () => {
    expect(planMemory({ ...needs(10_000), spareRows: 1 }, { slots: 3, context: 100 })).toMatchObject({
      cache: 4000,
      total: 5150,
    });
  });

  it('refuses nothing if the free memory is unknown, and chooses four slots for auto', () => {
    expect(planMemory(needs(undefined), { slots: 4, context: 1000 })).toMatchObject({ slots: 4, cache: 40_000 });
    const blind = planMemory(needs(undefined), { slots: 'auto', context: 1000 });
    expect(blind.slots).toBe(4);
    expect(blind).not.toHaveProperty('free');
  });
});

describe('a model that does not fit is refused with the plan and a suggestion', () => {
  const refusal = (free: number, slots: number, context: number): Reason<'does_not_fit'> | undefined => {
    try {
      planMemory(needs(free), { slots, context });
    } catch (error) {
      if (error instanceof LoadError && error.reason.code === 'does_not_fit') return error.reason;
      throw error;
    }
    return undefined;
  };

  it('with fewer slots', () => {
    expect(refusal(5_000_000, 8, 100_000)).toEqual({
      code: 'does_not_fit',
      device: 'cpu',
      plan: {
        slots: 8,
        context: 100_000,
        weights: 1000,
        cache: 8_000_000,
        logits: 100,
        work: 100,
        total: 8_001_200,
        free: 5_000_000,
      },
      suggestion: { slots: 4 },
    });
  });

  it('with one slot of a shorter context', () => {
    expect(refusal(500_000, 8, 100_000)?.suggestion).toEqual({ slots: 1, context: 49_872 });
  });

  it('without a suggestion if the weights alone are too large', () => {
    expect(refusal(900, 1, 100)).not.toHaveProperty('suggestion');
  });

  it('that fits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e7 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 16, max: 1e6 }),
        (free, slots, context) => {
          const suggestion = refusal(free, slots, context)?.suggestion;
          if (suggestion) expect(planMemory(needs(free), { context, ...suggestion })).toMatchObject(suggestion);
        },
      ),
    );
  });
});
