/** Rows of the KV cache on WebGPU: they grow by doubling, are copied on the device, and give their memory back. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { softwareVulkan } from '../../support/vulkan.ts';
import { modelFile } from '../harness.ts';

const SCRIPT = fileURLToPath(new URL('../../support/rows-on-device.mjs', import.meta.url));
/** SwiftShader compiles a shader for every operator and shape that is new to it. */
const TIMEOUT_MS = 600_000;
/** Keys and values of 4 layers with 4 heads of 16 floats. */
const TOKEN_BYTES = 2 * 4 * 4 * 16 * 4;
const TENSORS = 2 * 4;

type Logits = Record<'expected' | 'grown' | 'copied' | 'whole' | 'afterFailure' | 'again', readonly number[]>;
type Bytes = Record<'small' | 'large' | 'stored' | 'kept' | 'tensors' | 'left', number>;

interface Outcome extends Readonly<Logits>, Readonly<Bytes> {
  readonly growth: string;
  readonly copiesRows: boolean;
  readonly sizes: readonly number[];
  readonly failure: string;
  readonly copyFailure: string;
  readonly released: readonly number[];
}

/** Root mean square of the difference, relative to the logits of the CPU. */
function difference(logits: readonly number[], expected: readonly number[]): number {
  const squares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(logits.map((logit, id) => logit - (expected[id] ?? 0))) / squares(expected));
}

describe.runIf(softwareVulkan)('rows on WebGPU', () => {
  let outcome: Outcome;
  beforeAll(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, modelFile], {
      env: { ...softwareVulkan },
      maxBuffer: 2 ** 26,
    });
    outcome = JSON.parse(stdout) as Outcome;
  }, TIMEOUT_MS);

  it('take no memory at first, and then the size class of their tokens', () => {
    expect(outcome).toMatchObject({ growth: 'doubling', copiesRows: true });
    expect(outcome.sizes).toEqual([0, 256, 256, 500, 500].map((tokens) => tokens * TOKEN_BYTES));
    expect([outcome.small, outcome.large]).toEqual([256 * TOKEN_BYTES, 500 * TOKEN_BYTES]);
  });

  it('keep their content while they grow, and end the old memory', () => {
    expect(difference(outcome.grown, outcome.expected)).toBeLessThan(1e-3);
    // One row, and the two small inputs of the copy.
    expect(outcome.tensors).toBe(TENSORS + 2);
  });

  it('are copied on the device, to smaller and to larger rows', () => {
    expect(outcome.stored).toBe(256 * TOKEN_BYTES);
    expect(difference(outcome.copied, outcome.expected)).toBeLessThan(1e-3);
    expect(difference(outcome.whole, outcome.expected)).toBeLessThan(1e-3);
  });

  it('keep content and memory if there is no memory to grow, or for a copy', () => {
    expect([outcome.failure, outcome.copyFailure]).toEqual([
      'failed to create GPU buffer',
      'failed to create GPU buffer',
    ]);
    expect(outcome.kept).toBe(256 * TOKEN_BYTES);
    expect(difference(outcome.afterFailure, outcome.expected)).toBeLessThan(1e-3);
  });

  it('give all of their memory back, and begin again', () => {
    expect(outcome.released).toEqual([0, 0, 0, 0]);
    expect(outcome.left).toBe(2);
    expect(difference(outcome.again, outcome.expected)).toBeLessThan(1e-3);
  });
});
