/**
 * The kernels against the rules of each format (ggml-rules.ts), on random and extreme blocks: the weights of
 * the converted form are equal bit for bit, or differ by the rounding of the minimum.
 */

import { describe, expect, test } from 'vitest';
import { dequantized } from '../../../src/engine/conversion/dequantize.ts';
import { Kernels } from '../../../src/engine/conversion/kernels/kernels.ts';
import { hasAllWeights, REQUANTIZED } from '../../../src/engine/conversion/plan/forms.ts';
import { BLOCK_FORMATS, type BlockFormat } from '../../../src/protocol/decoder/block-formats.ts';
import { EXACT_FORMS, type Form } from '../../../src/protocol/decoder/exact-forms.ts';
import { randomBlocks, setScale, weightsOf } from './blocks.ts';

const FORMATS = Object.keys(BLOCK_FORMATS) as BlockFormat[];
const isExact = (format: BlockFormat): boolean => EXACT_FORMS[format].extra === undefined;
const BLOCKS = 1000;
const f = Math.fround;

const kernels = new Kernels();

function convert(format: BlockFormat, form: Form, bytes: Uint8Array): boolean {
  kernels.source.set(bytes);
  return kernels.convert(format, form, (bytes.length / BLOCK_FORMATS[format].bytes) * BLOCK_FORMATS[format].values);
}

/** The terms of each weight of the converted form: scale × (value - zero), and the minimum. */
function termsOf({ bits, blockSize, extra }: Form, count: number): [product: number, minimum: number][] {
  return Array.from({ length: count }, (_, index) => {
    const block = Math.floor(index / blockSize);
    const values = kernels.values;
    const pair = values[index >> 1] ?? 0;
    const value = bits === 8 ? (values[index] ?? 0) : index % 2 === 0 ? pair & 15 : pair >> 4;
    const zero = extra === 'zeroPoints' ? (kernels.zeroPoints[block] ?? 0) : bits === 8 ? 128 : 8;
    const minimum = extra === 'minimums' ? (kernels.minimums[block] ?? 0) : 0;
    return [f((kernels.scales[block] ?? 0) * (value - zero)), minimum];
  });
}

/** The first weight whose bits are others, with its index. */
function firstOther(actual: Float32Array, expected: Float32Array): unknown {
  const index = expected.findIndex((weight, at) => !Object.is(weight, actual[at]));
  return index < 0 ? undefined : { index, actual: actual[index], expected: expected[index] };
}

describe.each(FORMATS)('%s', (format) => {
  const bytes = randomBlocks(format, BLOCKS);
  const expected = weightsOf(format, bytes);

  test('has the weights of the rules of the format', () => {
    const form = EXACT_FORMS[format];
    expect(convert(format, form, bytes)).toBe(true);
    const terms = termsOf(form, expected.length);
    if (isExact(format)) {
      expect(
        firstOther(
          Float32Array.from(terms, ([product]) => product),
          expected,
        ),
      ).toBeUndefined();
      return;
    }
    // Each of three float32 results (the minimum, the sum here, the sum of the rules) is rounded: half a unit
    // in the last place, 2^-24, of the largest of them.
    const far = terms.filter(([product, minimum], index) => {
      const weight = expected[index] ?? 0;
      const largest = Math.max(Math.abs(product), Math.abs(minimum), Math.abs(weight));
      return Math.abs(f(product - minimum) - weight) > 3 * 2 ** -24 * largest;
    });
    expect(far.slice(0, 3)).toEqual([]);
  });

  test.runIf(isExact(format))('has the same weights in more bits and smaller blocks', () => {
    for (const bits of [4, 8] as const) {
      for (const blockSize of [16, 32] as const) {
        const form: Form = { bits, blockSize };
        if (!hasAllWeights(form, EXACT_FORMS[format])) continue;
        expect(convert(format, form, bytes)).toBe(true);
        const products = termsOf(form, expected.length).map(([product]) => product);
        expect(firstOther(Float32Array.from(products), expected)).toBeUndefined();
      }
    }
  });

  test('has the weights that the measure of the difference computes', () => {
    expect(firstOther(dequantized(format, bytes, expected.length), expected)).toBeUndefined();
  });

  test('is at most one step away in 8 bits with zero points', () => {
    expect(convert(format, REQUANTIZED, bytes)).toBe(true);
    const terms = termsOf(REQUANTIZED, expected.length);
    // The zero point and the value are both rounded to half a step.
    const far = terms.filter(([product], index) => {
      const step = kernels.scales[Math.floor(index / 32)] ?? 0;
      // A scale whose inverse is no float32 counts as 0.
      return Math.abs(product - (expected[index] ?? 0)) > Math.max(1.001 * step, 2 ** -120);
    });
    expect(far.slice(0, 3)).toEqual([]);
  });

  test.each([
    ['Infinity', 0x7c00],
    ['-Infinity', 0xfc00],
    ['NaN', 0x7e00],
  ])('refuses a scale of %s', (_, bits) => {
    const bad = bytes.slice();
    setScale(format, bad, BLOCKS - 1, format === 'mxfp4' ? 255 : bits);
    expect(convert(format, EXACT_FORMS[format], bad)).toBe(false);
    expect(convert(format, REQUANTIZED, bad)).toBe(false);
  });
});

test('mxfp4 refuses a scale with which the largest value is no float32', () => {
  const bytes = randomBlocks('mxfp4', 2);
  setScale('mxfp4', bytes, 1, 252);
  expect(convert('mxfp4', EXACT_FORMS.mxfp4, bytes)).toBe(true);
  setScale('mxfp4', bytes, 1, 253);
  expect(convert('mxfp4', EXACT_FORMS.mxfp4, bytes)).toBe(false);
});
