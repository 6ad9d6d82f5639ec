/**
 * WebGPU on a software renderer: generates the ids of the CPU and of the reference, with a KV cache that
 * never leaves the device.
 */
import { appendFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { MODEL } from '../../../src/onnx/types.ts';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import { attribute, copyWithAttribute, type Value } from '../../onnx/with-attribute.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { Bench, modelFile } from '../harness.ts';
import { optionsFor, REFERENCE } from '../reference.ts';
import { openEngine, stopEngines, TIMEOUT_MS } from './engine-process.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'webgpu-')));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(stopEngines);

const haiku = (device: DeviceName): Partial<EngineOptions> => ({
  candidates: [{ device, modelFile, weightFiles: [modelFile] }],
  slots: 2,
});

const QKV_BIAS = REFERENCE.find(({ name }) => name.startsWith('qkv-bias/'))!;

/** A model whose attention has one more attribute, on WebGPU. */
function onWebGpuWith(name: string, value: Value) {
  const file = join(folder, `${name}.onnx`);
  copyWithAttribute(QKV_BIAS.file, file, 'GroupQueryAttention', attribute(name, value));
  const candidates = [{ device: 'webgpu' as DeviceName, modelFile: file, weightFiles: [file] }];
  return { ...optionsFor(QKV_BIAS, 'webgpu'), candidates };
}

/**
 * One model of each kind: cache in place and growing, positions, keys and values in one tensor, external
 * weights. `npm run check:cuda` runs all.
 */
const SHOWN = ['position-ids/', 'concat/', 'combined/', 'split/'];

describe.runIf(softwareVulkan)('WebGPU', () => {
  it('generates the tokens of the CPU: 64 of the embedded model, greedily', { timeout: TIMEOUT_MS }, async () => {
    const prompts = [Array.from({ length: 40 }, (_, index) => (index === 0 ? 0 : 5 + ((index * 37) % 900)))];
    const cpu = new Bench(haiku('cpu'));
    const engine = await openEngine(haiku('webgpu'));
    expect(engine.facts).toMatchObject({ device: 'webgpu', cacheUpdate: 'in_place', cpuCheckMs: expect.any(Number) });
    // Float32 on both: only the order of the sums differs.
    expect(engine.facts?.cpuDifference).toBeLessThan(1e-3);
    expect(engine.facts?.deviceBytes).toBeGreaterThan(1e6);
    const [some, others] = await Promise.all([
      Promise.all(prompts.map((prompt) => engine.run(prompt, 64))),
      Promise.all(prompts.map((prompt) => cpu.run({ prompt, maxTokens: 64 }))),
    ]);
    expect(some).toEqual(others.map((outcome) => outcome.ids));
    cpu.engine.close();
  });

  it('computes runs only as long as its driver computes them correctly', { timeout: TIMEOUT_MS }, async () => {
    // SwiftShader's attention is incorrect in runs of 32 tokens or more; another version may differ.
    const { facts } = await openEngine(haiku('webgpu'));
    expect(facts?.prefillChunk).toBeGreaterThanOrEqual(16);
    expect(facts?.trustedTokens ?? facts?.prefillChunk).toBe(facts?.prefillChunk);
  });

  it.each(SHOWN)('generates the reference ids of %s', { timeout: TIMEOUT_MS }, async (name) => {
    const model = REFERENCE.find((one) => one.name.startsWith(name))!;
    const engine = await openEngine(optionsFor(model, 'webgpu'));
    expect(engine.refusal).toBeUndefined();
    for (const { prompt, ids } of model.continuations.slice(1, 3))
      expect(await engine.run(prompt, ids.length)).toEqual(ids);
  });

  it('refuses a model of half floats with the reason that SwiftShader does not support them', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const engine = await openEngine(optionsFor(REFERENCE.find((one) => one.name.startsWith('fp16/'))!, 'webgpu'));
    expect(engine.refusal).toMatchObject({ device: 'webgpu', reason: { code: 'no_half_floats' } });
  });

  it('refuses a model whose attention has softcap, which the provider ignores', { timeout: TIMEOUT_MS }, async () => {
    const engine = await openEngine(onWebGpuWith('softcap', { float: 0.5 }));
    const reason = { code: 'operator_ignores', operator: 'GroupQueryAttention', attribute: 'softcap', value: 0.5 };
    expect(engine.refusal).toMatchObject({ device: 'webgpu', reason });
  });

  it('refuses the same model if its graph cannot be read, because its logits are not those of the CPU', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const option = onWebGpuWith('softcap', { float: 0.5 });
    // A second graph, which is empty: the runtime merges the two, and the engine reads models with one graph only.
    for (const { modelFile: file } of option.candidates) appendFileSync(file, Uint8Array.of(MODEL.graph * 8 + 2, 0));
    const { refusal } = await openEngine(option);
    expect(refusal).toMatchObject({ device: 'webgpu', reason: { code: 'computes_wrong', comparedWith: 'cpu' } });
  });

  it('generates the tokens of the CPU with a model whose attention has a window', { timeout: TIMEOUT_MS }, async () => {
    const option = onWebGpuWith('local_window_size', { integer: 4 });
    const cpu = new Bench({ ...option, candidates: option.candidates.map((one) => ({ ...one, device: 'cpu' })) });
    const engine = await openEngine(option);
    expect(engine.facts?.device).toBe('webgpu');
    const prompt = Array.from({ length: 12 }, (_, index) => 40 + index * 7);
    const { ids } = await cpu.run({ prompt, maxTokens: 12 });
    expect(await engine.run(prompt, 12)).toEqual(ids);
    // Without the window the ids differ, so the window is computed.
    const unlimited = new Bench({ ...optionsFor(QKV_BIAS, 'cpu') });
    expect((await unlimited.run({ prompt, maxTokens: 12 })).ids).not.toEqual(ids);
    for (const { engine: one } of [cpu, unlimited]) one.close();
  });

  it('is skipped in favour of the CPU unless it is selected by name', { timeout: TIMEOUT_MS }, async () => {
    const { facts, said } = await openEngine({
      candidates: (['webgpu', 'cpu'] as const).map((device) => ({ device, modelFile, weightFiles: [modelFile] })),
    });
    expect(facts?.device).toBe('cpu');
    expect(said[0]).toMatchObject({
      kind: 'fallback',
      device: 'webgpu',
      next: 'cpu',
      reason: { code: 'software_renderer', name: expect.stringContaining('SwiftShader') },
    });
  });
});
