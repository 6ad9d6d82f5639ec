/** Operators over integers in blocks on WebGPU in software, each alone, compared with the CPU. */
import { beforeAll, describe, expect, it } from 'vitest';
import { bytes, type Computed, computeOnBoth, floats, int64s, type OneNode, output } from '../../support/one-node.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { TIMEOUT_MS } from './engine-process.ts';

const domain = 'com.microsoft';
const ROWS = 40;

/** A product of `tokens` rows with a matrix `[40, columns]`. */
function product(bits: number, blockSize: number, { columns = 256, tokens = 1, hasZeroPoints = false } = {}): OneNode {
  const blocks = columns / blockSize;
  return {
    ...{ operator: 'MatMulNBits', domain, outputs: [output('y', 1, tokens, ROWS)] },
    inputs: [
      floats('x', [1, tokens, columns]),
      bytes('values', [ROWS, blocks, (blockSize * bits) / 8]),
      floats('scales', [ROWS, blocks], 0.01),
      ...(hasZeroPoints ? [bytes('zero_points', [ROWS, blocks])] : []),
    ],
    attributes: {
      ...{ K: { integer: columns }, N: { integer: ROWS } },
      ...{ bits: { integer: bits }, block_size: { integer: blockSize } },
    },
  };
}

/** Three rows of a matrix `[40, 256]`. */
function rows(bits: number, blockSize: number, hasZeroPoints = false): OneNode {
  const columns = 256;
  const perBlock = [ROWS, columns / blockSize];
  return {
    ...{ operator: 'GatherBlockQuantized', domain, outputs: [output('y', 1, 3, columns)] },
    inputs: [
      bytes('values', [ROWS, (columns * bits) / 8]),
      { ...int64s('ids', 3, 0, 39), shape: [1, 3] },
      floats('scales', perBlock, 0.01),
      ...(hasZeroPoints ? [bytes('zero_points', perBlock)] : []),
    ],
    attributes: {
      ...{ bits: { integer: bits }, block_size: { integer: blockSize } },
      ...{ gather_axis: { integer: 0 }, quantize_axis: { integer: 1 } },
    },
  };
}

const BLOCKS = [16, 32, 64, 128, 256];
const named = (nodes: readonly (readonly [string, OneNode])[]): Record<string, OneNode> => Object.fromEntries(nodes);
const NODES: Readonly<Record<string, OneNode>> = {
  ...named(
    [4, 8].flatMap((bits) =>
      BLOCKS.flatMap((block) => [
        [`${bits} bits, blocks of ${block}, one token`, product(bits, block)] as const,
        [`${bits} bits, blocks of ${block}, 20 tokens`, product(bits, block, { tokens: 20 })] as const,
        [`rows of ${bits} bits, blocks of ${block}`, rows(bits, block)] as const,
      ]),
    ),
  ),
  ...named(
    [16, 32].flatMap((block) => [
      [`8 bits, blocks of ${block}, zero points`, product(8, block, { hasZeroPoints: true })] as const,
      [`rows of 8 bits, blocks of ${block}, zero points`, rows(8, block, true)] as const,
    ]),
  ),
  '8 bits, zero points, 20 tokens': product(8, 32, { tokens: 20, hasZeroPoints: true }),
  '4 bits, 96 columns': product(4, 32, { columns: 96 }),
  '8 bits, 96 columns, 20 tokens': product(8, 32, { columns: 96, tokens: 20 }),
};

/** Root mean square of the difference, relative to the second. */
function difference({ values: found }: Computed, { values: expected }: Computed): number {
  const [one, other] = [found?.flat() ?? [], expected?.flat() ?? []];
  const squares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(one.map((value, index) => value - (other[index] ?? 0))) / squares(other));
}

describe.runIf(softwareVulkan)('on WebGPU', () => {
  const results = new Map<string, { cpu: Computed; device: Computed }>();

  beforeAll(async () => {
    const computed = await computeOnBoth(Object.values(NODES));
    for (const [index, name] of Object.keys(NODES).entries()) results.set(name, computed[index]!);
  }, TIMEOUT_MS);

  it.each(Object.keys(NODES))('%s: the numbers of the CPU', (name) => {
    const { cpu, device } = results.get(name)!;
    expect([cpu.error, device.error]).toEqual([undefined, undefined]);
    expect(new Set(device.providers?.map(([, provider]) => provider))).toEqual(new Set(['WebGpu']));
    expect(difference(device, cpu)).toBeLessThan(2e-6);
  });
});
