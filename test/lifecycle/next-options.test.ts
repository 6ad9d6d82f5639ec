/** The options of an engine that replaces a lost one. */
import { expect, test } from 'vitest';
import { deviceNamed } from '../../src/engine/devices/registry.ts';
import { planMemory } from '../../src/engine/load/memory-plan.ts';
import { needsOf } from '../../src/engine/load/needs.ts';
import { growthOf } from '../../src/engine/ort/cache/growth.ts';
import { readModel } from '../../src/engine/ort/model-file.ts';
import { readSignature } from '../../src/engine/ort/signature.ts';
import { nextOptions } from '../../src/lifecycle/engine-supervisor.ts';
import type { EngineFacts, EngineOptions, GpuGraph } from '../../src/protocol/loading.ts';
import { modelFile, options } from '../engine/harness.ts';

const webgpu = deviceNamed('webgpu');
const signature = readSignature(readModel(modelFile).edited!);
const [candidate] = options.candidates;
const asked: EngineOptions = {
  ...options,
  ...{ slots: 6, context: 512, gpuGraph: 'captured', candidates: [candidate!, { ...candidate!, device: 'webgpu' }] },
};

/** The plan of an engine on WebGPU whose mode is `mode`, or the one that its options ask for. */
function planOf(requested: EngineOptions, mode: GpuGraph = requested.gpuGraph ?? 'off') {
  const together = mode !== 'off';
  const growth = growthOf(webgpu, { appends: false, canMap: true, together });
  const needs = needsOf(signature, { device: webgpu, weightBytes: 1000, growth, together }, requested);
  return planMemory({ ...needs, free: undefined }, requested);
}

/** The facts of a first engine that decodes in this mode. */
function factsOf(mode: GpuGraph): EngineFacts {
  const { slots, rows, context, cache: cacheBytes } = planOf(asked, mode);
  const gpuGraph = { mode, ...(mode !== 'captured' && { reason: 'fails' as const }) };
  return { device: 'webgpu', slots, rows, context, cacheBytes, gpuGraph } as EngineFacts;
}

test.each(['off', 'eager', 'captured'] as const)(
  'an engine after one that decodes with %s has rows of the same length',
  (mode) => {
    const next = nextOptions(asked, factsOf(mode));
    expect(next).toMatchObject({ candidates: [{ device: 'webgpu' }], slots: 6, gpuGraph: mode });
    expect(planOf(next).context).toBe(512);
    // Also if it cannot decode so, for lack of memory.
    expect(planOf(next, 'off').context).toBe(512);
  },
);

test('an engine that reports no mode keeps the asked one', () => {
  const { gpuGraph: _, ...facts } = factsOf('off');
  expect(nextOptions(asked, facts).gpuGraph).toBe('captured');
});
