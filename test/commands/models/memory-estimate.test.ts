/** The estimated memory of a model, and the context that fits. */

import { describe, expect, test } from 'vitest';
import { estimateMemory } from '../../../src/commands/models/memory-estimate.ts';
import { FLOAT32 } from '../../../src/onnx/types.ts';
import { type BlockFormat, blockBytes } from '../../../src/protocol/decoder/block-formats.ts';
import type { StoredMatrix } from '../../../src/protocol/decoder/decoder-spec.ts';
import { EXACT_FORMS } from '../../../src/protocol/decoder/exact-forms.ts';

const MB = 2 ** 20;
/** 1 KiB a token in half floats. */
const SHAPE = { perToken: 512, context: 8192 };

/** The weights of a checkpoint with one matrix of 1 Mi weights by the name. */
function weightsOf(tensors: Readonly<Record<string, BlockFormat | 'f32'>>): number {
  const place = { file: 0, offset: 0, shape: [1024, 1024] };
  const entries = Object.entries(tensors).map(([name, format]): [string, StoredMatrix] => [
    name,
    format === 'f32' ? { ...place, bytes: 4 * MB, type: FLOAT32 } : { ...place, bytes: blockBytes(format, MB), format },
  ]);
  return estimateMemory({ bytes: 0, dtype: '', checkpoint: { tensors: new Map(entries) } }, SHAPE, 1000 * MB).weights;
}

describe('the estimate of matrices in blocks', () => {
  test.each(Object.entries(EXACT_FORMS))('has the integers of %s with the numbers of each block', (format, form) => {
    const numbers = form.extra === 'minimums' ? 3 : 2;
    const bits = form.bits + (32 * numbers) / form.blockSize;
    const weights = weightsOf({ 'layers.0.q.weight': format as BlockFormat, 'lm_head.weight': 'f32' });
    expect(weights).toBe((bits / 8) * MB + 4 * MB);
  });

  test('counts the table of a tied head twice', () => {
    const table = { 'model.embed_tokens.weight': 'q8_0' } as const;
    expect(weightsOf(table)).toBe(2 * weightsOf({ ...table, 'lm_head.weight': 'f32' }) - 8 * MB);
  });

  test('has experts with minimums in 8 bits', () => {
    const name = 'model.layers.0.mlp.experts.0.gate_proj.weight';
    const head = { 'lm_head.weight': 'f32' } as const;
    expect(weightsOf({ [name]: 'q4_k', ...head })).toBe(weightsOf({ [name]: 'q8_0', ...head }));
  });
});

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
