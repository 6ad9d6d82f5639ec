/** Floats that become integers of 8 or 4 bits at load, against plain TypeScript with the rules of llama.cpp. */
import { describe, expect, test } from 'vitest';
import { Kernels } from '../../../src/engine/conversion/kernels/kernels.ts';
import { FLOAT_FORMS } from '../../../src/engine/conversion/plan/forms.ts';
import { randomBits } from './blocks.ts';

const f = Math.fround;
const kernels = new Kernels();

/** Blocks of 32 numbers: random ones, ties of the largest magnitude, zeros, tiny and huge ones. */
const WEIGHTS = ((): Float32Array => {
  const next = randomBits(7);
  const random = (): number => next() / 2 ** 31 - 1;
  const shapes: readonly ((index: number) => number)[] = [
    random,
    () => random() * 1e-6,
    () => random() * 3e38,
    () => random() * 1e-44,
    () => 0,
    (index) => (index % 7 === 3 ? -0.5 : index % 7 === 5 ? 0.5 : random() / 4),
    (index) => (index % 7 === 5 ? 0.5 : index % 7 === 3 ? -0.25 : random() / 4),
    () => Math.round(random() * 127) / 127,
    () => random() ** 9,
  ];
  return Float32Array.from({ length: 32 * 900 }, (_, index) => shapes[(index >> 5) % shapes.length]?.(index % 32) ?? 0);
})();

/** Half to even, as `rintf`. */
function rint(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}
const inverse = (scale: number): number => (Number.isFinite(f(1 / scale)) ? f(1 / scale) : 0);
const largest = (block: Float32Array): number =>
  block.reduce((most, weight) => (Math.abs(weight) > Math.abs(most) ? weight : most), 0);

function quantized(weights: Float32Array, bits: 4 | 8): { scales: number[]; values: number[] } {
  const result: { scales: number[]; values: number[] } = { scales: [], values: [] };
  for (let start = 0; start < weights.length; start += 32) {
    const block = weights.subarray(start, start + 32);
    const scale = bits === 8 ? f(Math.abs(largest(block)) / 127) : f(largest(block) / -8);
    const factor = inverse(scale);
    result.scales.push(scale);
    for (const weight of block) {
      const product = f(weight * factor);
      result.values.push(bits === 8 ? rint(product) + 128 : Math.min(15, Math.floor(f(product + 8.5))));
    }
  }
  return result;
}

function convert(weights: Float32Array, quantize: 'q8' | 'q4'): boolean {
  kernels.source.set(new Uint8Array(weights.buffer));
  return kernels.convert('f32', FLOAT_FORMS[quantize], weights.length);
}
const valuesOf = (count: number, bits: 4 | 8): number[] =>
  Array.from({ length: count }, (_, index) => {
    if (bits === 8) return kernels.values[index] ?? 0;
    return ((kernels.values[index >> 1] ?? 0) >> (4 * (index % 2))) & 15;
  });

describe.each([
  ['q8', 8],
  ['q4', 4],
] as const)('%s', (quantize, bits) => {
  test('rounds as the rules say', () => {
    expect(convert(WEIGHTS, quantize)).toBe(true);
    const { scales, values } = quantized(WEIGHTS, bits);
    expect(Array.from(kernels.scales.subarray(0, scales.length))).toEqual(scales);
    expect(valuesOf(WEIGHTS.length, bits)).toEqual(values);
  });

  test('is at most half a step away, or a whole step at the end of 4 bits', () => {
    convert(WEIGHTS, quantize);
    const values = valuesOf(WEIGHTS.length, bits);
    const far = values.filter((value, index) => {
      const scale = kernels.scales[index >> 5] ?? 0;
      const distance = Math.abs(scale * (value - 2 ** (bits - 1)) - (WEIGHTS[index] ?? 0));
      // Scales whose inverse is no float32 count as 0: those weights are below 2^-120.
      return distance > (value === 15 && bits === 4 ? 1.001 : 0.501) * Math.abs(scale) && distance > 2 ** -120;
    });
    expect(far.slice(0, 3)).toEqual([]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuses %s', (bad) => {
    for (const at of [0, 17, WEIGHTS.length - 1]) {
      const weights = WEIGHTS.slice();
      weights[at] = bad;
      expect(convert(weights, quantize)).toBe(false);
    }
  });

  test('widens half floats and brain floats without loss', () => {
    const next = randomBits(3);
    const patterns = Uint16Array.from({ length: 32 * 200 }, () => next() & 0xffff);
    const halves = patterns.map((pattern, index) => ((pattern & 0x7c00) === 0x7c00 ? index & 0x83ff : pattern));
    const brains = patterns.map((pattern) => ((pattern & 0x7f80) >= 0x7f00 ? pattern & 0x807f : pattern));
    const wide = {
      f16: Float32Array.from(halves, (half) => {
        const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
        const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
        return half & 0x8000 ? -size : size;
      }),
      bf16: new Float32Array(Uint32Array.from(brains, (brain) => brain << 16).buffer),
    };
    for (const [type, narrow] of [
      ['f16', halves],
      ['bf16', brains],
    ] as const) {
      kernels.source.set(new Uint8Array(narrow.buffer));
      expect(kernels.convert(type, FLOAT_FORMS[quantize], narrow.length)).toBe(true);
      const { scales, values } = quantized(wide[type], bits);
      expect(Array.from(kernels.scales.subarray(0, scales.length))).toEqual(scales);
      expect(valuesOf(narrow.length, bits)).toEqual(values);
    }
  });

  test.each([
    ['f16', 0x7c00],
    ['f16', 0xfe00],
    ['bf16', 0x7f80],
    ['bf16', 0xffc0],
  ] as const)('refuses %s with the bits %i', (type, bad) => {
    const patterns = Uint16Array.from({ length: 64 }, (_, index) => index);
    patterns[40] = bad;
    kernels.source.set(new Uint8Array(patterns.buffer));
    expect(kernels.convert(type, FLOAT_FORMS[quantize], 64)).toBe(false);
  });
});
