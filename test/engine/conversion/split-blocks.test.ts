/** MXFP4 in two tensors becomes the blocks of a GGUF file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Kernels } from '../../../src/engine/conversion/kernels/kernels.ts';
import { SourceFiles } from '../../../src/engine/conversion/source-files.ts';
import { readSplitBlocks } from '../../../src/engine/conversion/split-blocks.ts';
import type { SplitBlocks } from '../../../src/protocol/decoder/decoder-spec.ts';
import { randomBlocks, weightsOf } from './blocks.ts';

const folder = mkdtempSync(join(tmpdir(), 'split-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'model.safetensors');
const BLOCKS = 60;
/** A gap, the halves of all blocks, a gap, the scales. */
const [PAIRS, SCALES] = [24, 24 + 16 * BLOCKS + 8];
const source: SplitBlocks = {
  ...{ file: 0, offset: PAIRS, bytes: 17 * BLOCKS, format: 'mxfp4', shape: [BLOCKS / 2, 64] },
  scales: { file: 0, offset: SCALES },
};
const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6];

function piece(start: number, blocks: number): Uint8Array {
  const files = new SourceFiles([path]);
  const kernels = new Kernels();
  readSplitBlocks(files, source, { start, count: 32 * blocks }, kernels);
  files.close();
  return kernels.source.subarray(0, 17 * blocks);
}

describe('blocks and scales in two tensors', () => {
  const file = Buffer.alloc(SCALES + BLOCKS);
  file.set(randomBlocks('q4_0', BLOCKS).subarray(0, 16 * BLOCKS), PAIRS);
  for (let block = 0; block < BLOCKS; block += 1) file[SCALES + block] = 100 + (block % 40);
  /** By the rule of the file: two values in a byte, the first one low, times 2^(scale - 127). */
  const expected = Float32Array.from({ length: 32 * BLOCKS }, (_, index) => {
    const byte = file[PAIRS + (index >> 1)] ?? 0;
    const value = E2M1[index % 2 === 0 ? byte & 15 : byte >> 4] ?? 0;
    return value * 2 ** ((file[SCALES + (index >> 5)] ?? 0) - 127);
  });

  test.each([
    [0, BLOCKS],
    [32 * 7, 20],
  ])('have the weights of the file from value %i on, in %i blocks', (start, blocks) => {
    writeFileSync(path, file);
    expect(weightsOf('mxfp4', piece(start, blocks))).toEqual(expected.subarray(start, start + 32 * blocks));
  });

  test('name a file that ends early', () => {
    writeFileSync(path, file.subarray(0, -1));
    expect(() => piece(0, BLOCKS)).toThrow(`download ${path} again: it ends at byte ${file.length - 1}`);
  });
});
