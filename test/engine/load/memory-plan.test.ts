import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryError, type Needs, planMemory } from '../../../src/engine/load/memory-plan.ts';

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
  it('spells out what is needed, with the slots that were asked for', () => {
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

  it('has for auto as many slots as fit a quarter of what is free, 1 to 16', () => {
    const slots = (free: number): number => planMemory(needs(free), { slots: 'auto', context: 100 }).slots;
    expect(slots(4 * 3500)).toBe(3);
    expect(slots(2200)).toBe(1);
    expect(slots(4400)).toBe(1);
    expect(slots(1e9)).toBe(16);
  });

  it('has for auto no more than is left beside the weights', () => {
    const heavy = { ...needs(20_000), weights: 18_000 };
    expect(planMemory(heavy, { slots: 'auto', context: 100 }).slots).toBe(1);
    expect(() => planMemory({ ...heavy, weights: 19_000 }, { slots: 'auto', context: 100 })).toThrow(MemoryError);
  });

  it('counts the row that a cache that grows is made into', () => {
    expect(planMemory({ ...needs(10_000), spareRows: 1 }, { slots: 3, context: 100 })).toMatchObject({
      cache: 4000,
      total: 5150,
    });
  });

  it('refuses nothing where the system does not tell what is free, and takes four slots for auto', () => {
    expect(planMemory(needs(undefined), { slots: 4, context: 1000 })).toMatchObject({ slots: 4, cache: 40_000 });
    const blind = planMemory(needs(undefined), { slots: 'auto', context: 1000 });
    expect(blind.slots).toBe(4);
    expect(blind).not.toHaveProperty('free');
  });
});

describe('what does not fit is refused with the sum and what would fit', () => {
  const refusal = (free: number, slots: number, context: number): string => {
    try {
      planMemory(needs(free), { slots, context });
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };

  it('fewer slots', () => {
    expect(refusal(5_000_000, 8, 100_000)).toBe(
      'The model does not fit cpu: it needs 8.0 MB: weights 0.0 MB, cache 8.0 MB (8 x 100000 tokens), logits 0.0 MB, work 0.0 MB; 5.0 MB are free. --slots 4 would fit',
    );
  });

  it('one slot of a shorter context', () => {
    expect(refusal(500_000, 8, 100_000)).toMatch(/--slots 1 --context 49872 would fit$/);
  });

  it('nothing, where the weights alone are too large', () => {
    expect(refusal(900, 1, 100)).toMatch(/No --slots and no --context would fit: take smaller weights with --dtype/);
  });

  it('and what is suggested does fit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e7 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 16, max: 1e6 }),
        (free, slots, context) => {
          const [, fewer, , shorter] =
            /--slots (\d+)( --context (\d+))? would fit$/.exec(refusal(free, slots, context)) ?? [];
          if (fewer === undefined) return;
          const suggested = { slots: Number(fewer), context: shorter === undefined ? context : Number(shorter) };
          expect(planMemory(needs(free), suggested).slots).toBe(suggested.slots);
        },
      ),
    );
  });
});
