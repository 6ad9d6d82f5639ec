/**
 * The outputs of the best logits on WebGPU in software: equal to the best of the logits, and no node runs on the
 * host where the device has int64.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { TOP_COUNT, withTopLogits } from '../../../src/onnx/edit/top-logits.ts';
import { type Computed, computeGraphs, floats, type Tensor } from '../../support/one-node.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { expectTop, logitsModel, topOutputs } from './top-graphs.ts';

const TIMEOUT_MS = 300_000;
/** One part; parts with padding; equal parts; a second round. */
const SIZES = [1024, 32_003, 49_152, 128_256] as const;
const ROWS = 3;
/** Three runs: graph capture records the first, and replays it. */
const RUNS = 3;
const WAYS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'a run': { enableInt64: '1' },
  'a captured run': { enableGraphCapture: '1', validationMode: 'disabled' },
};

/** The logits of the second and the third row are one of 25 values. */
const given = SIZES.map((size): Tensor => {
  const { data = [], ...tensor } = floats('given', [ROWS, 1, size], 12);
  return { ...tensor, data: data.map((logit, index) => (index < size ? logit : Math.round(logit))) };
});

describe.runIf(softwareVulkan).each(Object.entries(WAYS))('the best logits of %s on WebGPU', (_, options) => {
  const results: Computed[] = [];

  beforeAll(async () => {
    const graphs = given.map((input) => ({
      model: withTopLogits(logitsModel(input.shape[2] ?? 0)) ?? new Uint8Array(),
      ...{ inputs: [input], outputs: topOutputs([ROWS, 1], TOP_COUNT) },
    }));
    results.push(...(await computeGraphs(graphs, options, RUNS)).map(({ device }) => device));
  }, TIMEOUT_MS);

  it.each(SIZES.map((size, index) => [size, index] as const))('of %i', (vocabSize, index) => {
    expectTop(results[index] ?? {}, { logits: given[index]?.data ?? [], vocabSize });
  });

  it('no node runs on the host', () => {
    expect(results).toHaveLength(SIZES.length);
    for (const { providers = [] } of results) {
      expect(providers.length).toBeGreaterThan(6);
      expect(new Set(providers.map(([, provider]) => provider))).toEqual(new Set(['WebGpu']));
      expect(providers.map(([operator]) => operator)).not.toContain('MemcpyToHost');
    }
  });
});
