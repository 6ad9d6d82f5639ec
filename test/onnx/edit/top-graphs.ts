/** Graphs with the outputs of the best logits, and the check of these outputs against the logits. */
import { expect } from 'vitest';
import { TOP } from '../../../src/onnx/edit/top-logits.ts';
import { floatOf } from '../../../src/onnx/half-float.ts';
import { BFLOAT16, FLOAT16, FLOAT32, INT32 } from '../../../src/onnx/types.ts';
import { ModelWriter } from '../../../src/onnx/write/model-writer.ts';
import type { Computed, Tensor } from '../../support/one-node.ts';

/** A model whose logits are its input. */
export function logitsModel(vocabSize: number, type = FLOAT32, rank = 3): Uint8Array {
  const writer = new ModelWriter();
  const shape = ['rows', 'kept', vocabSize, 1].slice(0, rank);
  writer.input('given', { type, shape });
  writer.node('Identity', ['given'], { outputs: ['logits'] });
  writer.output('logits', { type, shape });
  return writer.finish();
}

/** The outputs, for `positions` positions in all and `count` best logits. */
export const topOutputs = (shape: readonly [rows: number, kept: number], count: number): readonly Tensor[] => [
  { name: TOP.logits, type: FLOAT32, shape: [...shape, count] },
  { name: TOP.ids, type: INT32, shape: [...shape, count] },
  { name: TOP.sum, type: FLOAT32, shape: [...shape, 1] },
];

/** Logits as numbers, from the data of a tensor. */
export const logitsFrom = (data: readonly number[], type: number): readonly number[] =>
  type === FLOAT16 || type === BFLOAT16 ? data.map((bits) => floatOf(type, bits)) : data;

export interface Known {
  readonly logits: readonly number[];
  readonly vocabSize: number;
  /** Greatest relative difference between a best logit and its logit; default: 0. */
  readonly rounding?: number;
}

/** Expects the best logits of each position, largest first, each with its id and no id twice, and the sum. */
export function expectTop({ values, error }: Computed, { logits, vocabSize, rounding = 0 }: Known): void {
  expect(error).toBeUndefined();
  const expectNear = (some: readonly number[], others: readonly (number | undefined)[]): void => {
    const apart = some.map(
      (value, index) => Math.abs(value - (others[index] ?? Number.NaN)) / Math.max(1, Math.abs(value)),
    );
    expect(apart.filter((difference) => !(difference <= rounding))).toEqual([]);
  };
  const [best = [], ids = [], sums = []] = values?.slice(-3) ?? [];
  const positions = logits.length / vocabSize;
  const count = best.length / positions;
  expect(sums).toHaveLength(positions);
  for (let position = 0; position < positions; position++) {
    const own = logits.slice(position * vocabSize, (position + 1) * vocabSize);
    const ownIds = ids.slice(position * count, (position + 1) * count);
    const ownBest = best.slice(position * count, (position + 1) * count);
    expectNear(
      ownBest,
      [...own].sort((a, b) => b - a),
    );
    expectNear(
      ownBest,
      ownIds.map((id) => own[id]),
    );
    expect(new Set(ownIds).size).toBe(count);
    const sum = own.reduce((total, logit) => total + Math.exp(logit - (ownBest[0] ?? 0)), 0);
    expect(Math.abs((sums[position] ?? 0) / sum - 1)).toBeLessThan(3e-5 + 20 * rounding);
  }
}
