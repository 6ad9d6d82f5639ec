/** The facts of `model.loaded` about converted weights. */
import { expect, test } from 'vitest';
import { exactnessFacts } from '../../../src/lifecycle/weights/conversion-narration.ts';
import type { Exactness } from '../../../src/protocol/decoder/conversion.ts';

const weights = (from: Exactness['from'], difference: number): Exactness => ({
  ...{ from, bits: 8, blockSize: 32, hasMinimums: false, matrices: 1, count: 1024, difference },
});

test('a model without converted weights has no facts', () => {
  expect(exactnessFacts({})).toEqual({});
});

test('formats that differ by the rounding of float32 are exact, the others have their difference', () => {
  const conversions = [weights('q6_k', 0), weights('q4_k', 3e-8), weights('bf16', 0.00412), weights('f32', 0.09)];
  expect(exactnessFacts({ conversions })).toEqual({
    exact_weights: 'q6_k, q4_k',
    rounded_weights: 'bf16 (0.41 %), f32 (9 %)',
    weights_difference_percent: 9,
  });
});

test('matrices that stay floats are named, the first four of many', () => {
  const conversions = [weights('f32', 0.01)];
  const names = [0, 1, 2, 3, 4, 5].map((layer) => `layers.${layer}.mlp.down`);
  expect(exactnessFacts({ conversions, floatMatrices: names.slice(0, 1) }).float_weights).toBe('layers.0.mlp.down');
  expect(exactnessFacts({ conversions, floatMatrices: names }).float_weights).toBe(
    'layers.0.mlp.down, layers.1.mlp.down, layers.2.mlp.down, layers.3.mlp.down and 2 more',
  );
});
