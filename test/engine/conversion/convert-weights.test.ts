/** The converted file: its weights, its rows with gaps, and the faults of the files and of the disk. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { convertWeights } from '../../../src/engine/conversion/convert-weights.ts';
import { PIECE } from '../../../src/engine/conversion/kernels/kernels.ts';
import type { ConversionPlan, ConversionTask } from '../../../src/engine/conversion/plan/conversion-plan.ts';
import { type ConversionOptions, planConversion } from '../../../src/engine/conversion/plan/plan-conversion.ts';
import { BLOCK_FORMATS } from '../../../src/protocol/decoder/block-formats.ts';
import type { Exactness } from '../../../src/protocol/decoder/conversion.ts';
import { isPlain, type StoredMatrix } from '../../../src/protocol/decoder/decoder-spec.ts';
import { setScale, weightsOf } from './blocks.ts';
import { type StoredDecoder, storedDecoder } from './stored-decoder.ts';

const folder = mkdtempSync(join(tmpdir(), 'convert-'));
afterAll(() => rmSync(folder, { recursive: true }));
const [source, converted] = [join(folder, 'model.gguf'), join(folder, 'converted')];

/** The matrices of the MLP have more weights than a piece, and a piece ends inside of a row. */
const LARGE = { hidden: 768, inner: 1536 };

interface Run {
  readonly plan: ConversionPlan;
  readonly file: Buffer;
  readonly exactness: Exactness[];
  readonly progress: number[];
}

function planOf({ decoder }: StoredDecoder, options: Partial<ConversionOptions> = {}): ConversionPlan {
  const plan = planConversion(decoder, { file: 1, ...options });
  if (!plan) throw new Error('nothing to convert');
  return plan;
}

function run(stored: StoredDecoder, plan = planOf(stored)): Run {
  writeFileSync(source, stored.file);
  const progress: number[] = [];
  const exactness = convertWeights(plan, {
    weightFiles: [source],
    path: converted,
    onProgress: (bytes) => progress.push(bytes),
  });
  return { plan, file: readFileSync(converted), exactness, progress };
}

const bytesIn = (file: Buffer, { offset, bytes }: StoredMatrix): Buffer => file.subarray(offset, offset + bytes);

/** The weights that a graph computes from a converted matrix. */
function weightsIn({ file }: { file: Buffer }, { source: { shape }, form, ...parts }: ConversionTask): Float32Array {
  const [rows = 0, width = 0] = shape;
  const { bits, blockSize } = form;
  return Float32Array.from({ length: rows * width }, (_, index) => {
    const [row, column] = [Math.floor(index / width), index % width];
    const block = Math.floor(column / blockSize);
    const number = (part: { offset: number; stride: number } | undefined): number =>
      part ? file.readFloatLE(part.offset + row * part.stride + 4 * block) : 0;
    const byte = file[parts.values.offset + row * parts.values.stride + Math.floor((column * bits) / 8)] ?? 0;
    const value = bits === 8 ? byte - 128 : (column % 2 === 0 ? byte & 15 : byte >> 4) - 8;
    return Math.fround(number(parts.scales) * value) - number(parts.minimums);
  });
}

const isEqual = (one: Float32Array, other: Float32Array): boolean =>
  Buffer.from(one.buffer).equals(Buffer.from(other.buffer));

describe('the converted file', () => {
  test.each(['q4_0', 'q5_0', 'q8_0', 'q3_k', 'q6_k', 'iq4_nl', 'iq4_xs', 'mxfp4'] as const)(
    'has the weights of a file of %s, which are exact',
    (format) => {
      const stored = storedDecoder({ others: format }, { isTied: false });
      const result = run(stored);
      expect(result.file.length).toBe(result.plan.bytes);
      for (const task of result.plan.tasks) {
        const expected = weightsOf(format, bytesIn(stored.file, task.source));
        expect(isEqual(weightsIn(result, task), expected)).toBe(true);
      }
      expect(result.exactness).toMatchObject([{ from: format, matrices: 9, difference: 0 }]);
    },
  );

  test.each(['q4_1', 'q5_1', 'q2_k', 'q4_k', 'q5_k'] as const)(
    'has the weights of a file of %s, rounded as float32',
    (format) => {
      const { exactness } = run(storedDecoder({ others: format }));
      expect(exactness).toMatchObject([{ from: format, hasMinimums: true }]);
      expect(exactness[0]?.difference).toBeLessThan(1e-7);
    },
  );

  test('reports each format apart, and the progress to the end', () => {
    const { exactness, progress, plan } = run(storedDecoder({ others: 'q4_0', v: 'q6_k', embedding: 'f16' }));
    expect(exactness.map(({ from, matrices }) => [from, matrices])).toEqual([
      ['q4_0', 6],
      ['q6_k', 1],
    ]);
    expect(progress.at(-1)).toBe(plan.sourceBytes);
    expect(progress).toEqual(progress.toSorted((one, other) => one - other));
  });

  test('has matrices of more than a piece', () => {
    const stored = storedDecoder({ others: 'q4_0' }, LARGE);
    const result = run(stored);
    const gate = result.plan.tasks.find(({ name }) => name.endsWith('gate'));
    if (!gate) throw new Error('no gate');
    const expected = weightsOf('q4_0', bytesIn(stored.file, gate.source));
    expect(expected.length).toBeGreaterThan(PIECE);
    expect(isEqual(weightsIn(result, gate), expected)).toBe(true);
  });

  // The graph of a mixture of experts reads the rows of gate and up in turn.
  test('has the rows of two matrices in turn if their strides are two rows', () => {
    const stored = storedDecoder({ others: 'q4_k' }, LARGE);
    const plan = planOf(stored);
    const [gate, up] = ['gate', 'up'].map((name) => plan.tasks.find((task) => task.name.endsWith(name)));
    if (!gate || !up) throw new Error('no MLP');
    // Behind all other parts: the values of both in turn, their scales, their minimums.
    const alternate = (task: ConversionTask, isSecond: boolean): ConversionTask => {
      const rows = task.source.shape[0] ?? 0;
      const begin = plan.bytes;
      const places = { values: begin, scales: begin + 2 * rows * 384, minimums: begin + 2 * rows * (384 + 96) };
      const part = (name: keyof typeof places) => {
        const { stride } = task[name] ?? { stride: 0 };
        return { offset: places[name] + (isSecond ? stride : 0), stride: 2 * stride };
      };
      return { ...task, values: part('values'), scales: part('scales'), minimums: part('minimums') };
    };
    const rows = gate.source.shape[0] ?? 0;
    const tasks = [alternate(gate, false), alternate(up, true)] as const;
    const result = run(stored, { ...plan, tasks, bytes: plan.bytes + 2 * rows * (384 + 96 + 96) });
    const apart = run(stored, plan);
    for (const [index, task] of [gate, up].entries()) {
      expect(isEqual(weightsIn(result, tasks[index] ?? task), weightsIn(apart, task))).toBe(true);
    }
  });
});

describe('a converted file that cannot be written', () => {
  const stored = storedDecoder({ others: 'q4_k' });
  const convert = (path = converted): Exactness[] =>
    convertWeights(planOf(stored), { weightFiles: [source], path, onProgress: () => undefined });

  test('names a weight file that has become shorter', () => {
    writeFileSync(source, stored.file);
    truncateSync(source, stored.file.length / 2);
    expect(() => convert()).toThrow(
      `download ${source} again: it ends at byte ${stored.file.length / 2}, inside a matrix`,
    );
  });

  test('names a weight file that is missing', () => {
    rmSync(source, { force: true });
    expect(() => convert()).toThrow(`make ${source} readable: ENOENT`);
  });

  test.each(['q4_k', 'q6_k', 'mxfp4'] as const)(
    'names matrix, row and file of a scale that is not finite: %s',
    (format) => {
      const bad = storedDecoder({ others: 'q4_0', up: format });
      const place = planOf(bad).tasks.find(({ name }) => name.endsWith('up'))?.source;
      if (!place || isPlain(place)) throw new Error('no matrix');
      const row = 3;
      const block = (row * 256) / BLOCK_FORMATS[format].values;
      setScale(format, bytesIn(bad.file, place), block, format === 'mxfp4' ? 255 : 0x7c00);
      expect(() => run(bad)).toThrow(
        `download ${source} again: row 3 of the matrix layers.0.mlp.up (${format}) has a scale or a weight that is no`,
      );
    },
  );

  test.runIf(process.platform === 'linux')('reports a full disk', () => {
    writeFileSync(source, stored.file);
    expect(() => convert('/dev/full')).toThrow('ENOSPC');
  });

  test('reports a folder that is missing', () => {
    writeFileSync(source, stored.file);
    expect(() => convert(join(folder, 'none', 'converted'))).toThrow('ENOENT');
  });
});

describe('floats', () => {
  test.each([
    ['q8', 0.001, 0.006],
    ['q4', 0.05, 0.1],
  ] as const)('become %s with the difference of its steps', (quantize, least, most) => {
    const stored = storedDecoder({ others: 'bf16', gate: 'f32' });
    const { exactness, plan, file } = run(stored, planOf(stored, { quantize }));
    expect(file.length).toBe(plan.bytes);
    expect(exactness.map(({ from }) => from)).toEqual(['bf16', 'f32']);
    for (const { difference } of exactness) {
      expect(difference).toBeGreaterThan(least);
      expect(difference).toBeLessThan(most);
    }
  });
});
