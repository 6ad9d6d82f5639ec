/** The bytes of the weights of a checkpoint on each device, for the plan of the memory. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { weightBytesOn } from '../../../src/engine/ort/built-model.ts';
import { candidateOf, readable } from '../../support/checkpoints/candidate.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CHECKPOINTS, type Checkpoint } from '../../support/checkpoints/models.ts';

const root = mkdtempSync(join(tmpdir(), 'weight-bytes-'));
afterAll(() => rmSync(root, { recursive: true }));

const POSITIONS = 100;

/** The bytes behind the header of a safetensors file. */
function bytesOfTensors(file: string): number {
  const headerBytes = Number(readFileSync(file).readBigUInt64LE(0));
  return statSync(file).size - 8 - headerBytes;
}

/** The candidate of the first random checkpoint with this dtype, its bytes, and those of its rotary tables. */
async function checkpointOf(dtype: Checkpoint['dtype']) {
  const model = CHECKPOINTS.find((one) => one.dtype === dtype)!;
  const folder = join(root, model.name);
  writeCheckpoint(folder, model);
  const candidate = await candidateOf(folder, 'cpu', POSITIONS);
  const pairs = candidate.decoder!.rotaries.reduce((sum, { frequencies }) => sum + frequencies.length, 0);
  const files = candidate.weightFiles.reduce((sum, file) => sum + statSync(file).size, 0);
  const tensors = candidate.weightFiles.reduce((sum, file) => sum + bytesOfTensors(file), 0);
  return { candidate, files, tensors, tables: 2 * 4 * pairs * POSITIONS };
}

describe('the weights of a checkpoint take', () => {
  it.each([
    ['float32', 'cpu', 1],
    ['bfloat16', 'cpu', 2],
    ['float16', 'webgpu', 2],
    ['bfloat16', 'cuda-0', 1],
  ] as const)(
    'in %s on %s the bytes of its tensors times %i, and those of the rotary tables',
    async (dtype, device, factor) => {
      const { candidate, tensors, tables } = await checkpointOf(dtype);
      expect(tables).toBeGreaterThan(0);
      expect(weightBytesOn(device, readable(candidate), POSITIONS)).toBe(factor * tensors + tables);
    },
  );
});

it('are those of the files for an ONNX model', async () => {
  const { candidate, files } = await checkpointOf('float32');
  const { decoder: _, ...onnx } = candidate;
  expect(weightBytesOn('cpu', onnx, POSITIONS)).toBe(files);
});
