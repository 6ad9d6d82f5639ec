/** An engine that replaces a lost one: its options, and how its GPU decodes. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { expect, test, vi } from 'vitest';
import { deviceNamed } from '../../src/engine/devices/registry.ts';
import { planMemory } from '../../src/engine/load/memory-plan.ts';
import { needsOf } from '../../src/engine/load/needs.ts';
import { growthOf } from '../../src/engine/ort/cache/growth.ts';
import { readModel } from '../../src/engine/ort/model-file.ts';
import { readSignature } from '../../src/engine/ort/signature.ts';
import { EngineSupervisor, nextOptions } from '../../src/lifecycle/engine-supervisor.ts';
import { WorkerState } from '../../src/lifecycle/state.ts';
import { capture } from '../../src/narration/narrate.ts';
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

test('an engine that decodes with less than the first one reports it', async () => {
  const process = Object.assign(new EventEmitter(), { connected: true, pid: 1, send: () => true, kill: () => true });
  const state = new WorkerState();
  const supervisor = new EngineSupervisor(process as unknown as ChildProcess, state, {
    environment: {},
    config: { stepTimeout: 60, stallAfter: 60, onEngineLoss: 'resume', gpuGraph: 'captured' },
    giveUp: (_, reason) => expect.fail(reason),
  });
  const first = supervisor.start(asked, () => undefined);
  process.emit('message', { kind: 'opened', facts: factsOf('captured') });
  await first;
  // A lack of memory on a real GPU cannot be forced here.
  const start = vi.spyOn(supervisor.client, 'start').mockResolvedValue(factsOf('off'));
  const { narrations } = await capture(async () => {
    process.emit('close', null, 'SIGKILL');
    await vi.waitFor(() => expect(state.phase).toBe('ready'));
  });
  expect(start.mock.calls[0]?.[0]).toEqual(nextOptions(asked, factsOf('captured')));
  expect(narrations.map(({ event }) => event)).toEqual(['engine.lost', 'gpu_graph.limited', 'engine.restarted']);
  expect(narrations[1]).toMatchObject({
    gpu_graph: 'off',
    gpu_graph_asked: 'captured',
    reason: 'the runtime or the driver failed',
  });
});
