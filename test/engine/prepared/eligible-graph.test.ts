/** The memory of the matrices of a graph, in the order of the runtime and in the order of their files. */
import { describe, expect, test } from 'vitest';
import { planConversion } from '../../../src/engine/conversion/plan/plan-conversion.ts';
import { type Matrices, matricesOf } from '../../../src/engine/prepared/eligible-graph.ts';
import { ownWeights } from '../../../src/engine/prepared/weights-memory.ts';
import { buildDecoder } from '../../../src/graph-builder/build-decoder.ts';
import { CHOICES } from '../../../src/graph-builder/choices.ts';
import type { DecoderSpec, GraphMatrix } from '../../../src/protocol/decoder/decoder-spec.ts';
import { storedDecoder } from '../conversion/stored-decoder.ts';

function memoryOf(format: 'q4_0' | 'q4_k' | 'q6_k' | 'bf16' | 'f32', isTied: boolean): Matrices {
  const { decoder } = storedDecoder({ others: format }, { isTied });
  const graphs = planConversion(decoder, { file: 1 })?.decoder ?? (decoder as DecoderSpec<GraphMatrix>);
  const options = { choices: CHOICES.cpu, files: ['model.gguf', 'converted'], positions: 64 };
  const found = matricesOf(buildDecoder(graphs, options).bytes, true);
  if (!found) throw new Error('no matrices');
  return found;
}

/** 40 tokens of 256 elements. */
const TABLE = 40 * 256;

describe('a head that is tied to the table of the embedding', () => {
  test.each(['q4_0', 'q4_k', 'q6_k', 'bf16', 'f32'] as const)('needs the memory of one that is not: %s', (format) => {
    const [tied, apart] = [memoryOf(format, true), memoryOf(format, false)];
    expect(tied.bytes + tied.tables).toBe(apart.bytes + apart.tables);
    expect(tied.bytes).toBeLessThan(apart.bytes + apart.tables);
  });

  test.each([
    ['q4_0', TABLE / 2 + TABLE / 8],
    ['q6_k', TABLE + TABLE / 4],
    ['f32', TABLE * 4],
  ] as const)('of %s has a table of its own in the order of the file', (format, bytes) => {
    expect(memoryOf(format, true).tables).toBe(bytes);
  });
});

describe('the memory of copies', () => {
  const MIB = 2 ** 20;
  const matrices = { bytes: 200 * MIB, tables: 50 * MIB, areFull: false };

  test('is that of the matrices and of the tables', () => {
    expect(ownWeights(150 * MIB, matrices, undefined)).toEqual({
      weightBytes: 250 * MIB,
      copied: 200 * MIB,
      opening: 0,
    });
  });

  test('is that of the files if they are larger', () => {
    expect(ownWeights(300 * MIB, matrices, undefined).weightBytes).toBe(300 * MIB);
  });
});
