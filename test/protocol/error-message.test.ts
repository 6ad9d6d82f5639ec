/** Long values in messages keep their start and their end. */
import { expect, test } from 'vitest';
import { shorten } from '../../src/protocol/text/error-message.ts';

test('a text within the limit does not change', () => {
  expect(shorten('model.onnx', 10)).toBe('model.onnx');
});

test('a longer text has an ellipsis in the middle and exactly the limit', () => {
  expect(shorten('organisation/a-long-name/model_q4.onnx', 20)).toBe('organisati…l_q4.onnx');
  for (const limit of [3, 8, 21, 40]) expect(shorten('x'.repeat(100), limit)).toHaveLength(limit);
});

test('half of a surrogate pair becomes a replacement character', () => {
  expect(shorten('🐝'.repeat(20), 10).isWellFormed()).toBe(true);
});
