/** The estimated memory of a model, and the context that fits. */
import { describe, expect, test } from 'vitest';
import { estimateMemory } from '../../../src/commands/models/memory-estimate.ts';

const MB = 2 ** 20;
/** 1 KiB a token in half floats. */
const SHAPE = { perToken: 512, context: 8192 };

describe('the estimate', () => {
  test('adds weights, cache of the whole context, and the runtime', () => {
    const found = estimateMemory({ bytes: 100 * MB, dtype: 'q4' }, SHAPE, 1000 * MB);
    expect(found).toMatchObject({ weights: 100 * MB, cache: 16 * MB, work: 64 * MB, total: 180 * MB, fits: true });
    expect(found.fittingContext).toBeUndefined();
  });

  test.each(['fp16', 'q4f16'])('counts half of the cache for %s', (dtype) => {
    expect(estimateMemory({ bytes: 0, dtype }, SHAPE, 1000 * MB).cache).toBe(8 * MB);
  });

  test('names the longest context that fits, and that context fits', () => {
    const weights = { bytes: 100 * MB, dtype: 'q4' };
    const { fits, fittingContext = 0 } = estimateMemory(weights, SHAPE, 170 * MB);
    expect([fits, fittingContext]).toEqual([false, 3072]);
    expect(estimateMemory(weights, { ...SHAPE, context: fittingContext }, 170 * MB).fits).toBe(true);
    expect(estimateMemory(weights, { ...SHAPE, context: fittingContext + 256 }, 170 * MB).fits).toBe(false);
  });

  test('names no context if the weights alone do not fit', () => {
    const found = estimateMemory({ bytes: 1000 * MB, dtype: 'q4' }, SHAPE, 500 * MB);
    expect([found.fits, found.fittingContext]).toEqual([false, undefined]);
  });
});
