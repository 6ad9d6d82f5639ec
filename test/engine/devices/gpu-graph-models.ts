/** All test models that WebGPU in software computes, and how it decodes them if captured steps are asked for. */
import { join } from 'node:path';
import { expect } from 'vitest';
import type { EngineFacts, EngineOptions, GpuGraph } from '../../../src/protocol/loading.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { differenceFrom } from '../../support/checkpoints/continuations.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CHECKPOINTS, CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { optionsFor, REFERENCE } from '../reference.ts';
import { openEngine } from './engine-process.ts';

type Facts = NonNullable<EngineFacts['gpuGraph']>;

/** The message of the runtime has two spaces. */
const NOT_PARTITIONED =
  'This session cannot use the graph capture feature as requested by the user  as all compute graph nodes have not been partitioned to the WebGpuExecutionProvider';
const ON_HOST: Facts = { mode: 'eager', reason: 'host_nodes', detail: NOT_PARTITIONED };
const WINDOW: Facts = { mode: 'eager', reason: 'window' };
const GROWING: Facts = { mode: 'off', reason: 'growing_cache' };

/** Models that are not captured. The host computes a part of the first three. */
const LIMITED: Readonly<Record<string, Facts>> = {
  ...{ 'asked/model.onnx': ON_HOST, 'integer/model.onnx': ON_HOST, 'gemma-2': ON_HOST },
  ...{ mistral: WINDOW, 'qwen2-window': WINDOW, phi3: WINDOW, 'smollm3-interval': WINDOW },
  ...{ 'gemma-3': WINDOW, 'gemma-3-types': WINDOW },
  ...Object.fromEntries(REFERENCE.filter(({ grows }) => grows).map(({ name }) => [name, GROWING])),
};

/** Mixtures: no device but the CPU has them. */
const isRefused = (name: string): boolean => CHECKPOINTS.some((one) => one.name === name && /moe|gpt-oss/.test(name));

export const MODELS: readonly (readonly [name: string, facts: Facts])[] = [
  ...REFERENCE.filter(({ half }) => !half).map(({ name }) => name),
  ...CHECKPOINTS.map(({ name }) => name),
]
  .filter((name) => !isRefused(name))
  .map((name) => [name, LIMITED[name] ?? { mode: 'captured' }]);

/**
 * One of each kind: exports with and without positions, and a growing cache; checkpoints with a window, a cap and
 * padded heads.
 */
export const SHOWN: readonly string[] = [
  ...['asked/model.onnx', 'qk-norm-position-ids/model.onnx', 'combined/model.onnx', 'split/model.onnx'],
  ...['llama-3', 'llama-head-20', 'llama-head-24', 'qwen2-window', 'gemma-2', 'smollm3', 'olmo-2'],
];

/** Continues all prompts of a model at once. @returns the facts about the steps */
export async function expectReferenceIds(name: string, gpuGraph: GpuGraph, root: string): Promise<Facts | undefined> {
  const reference = REFERENCE.find((one) => one.name === name);
  if (reference) {
    const { continuations } = reference;
    const engine = await openEngine({ ...optionsFor(reference, 'webgpu'), slots: continuations.length, gpuGraph });
    expect(engine.refusal).toBeUndefined();
    const outputs = await Promise.all(continuations.map(({ prompt, ids }) => engine.run(prompt, ids.length)));
    expect(outputs).toEqual(continuations.map(({ ids }) => ids));
    return engine.facts?.gpuGraph;
  }
  const folder = join(root, name);
  const model = checkpointNamed(name);
  writeCheckpoint(folder, model);
  const { continuations } = model;
  const options: Partial<EngineOptions> = {
    candidates: [await candidateOf(folder, 'webgpu', CONTEXT)],
    context: CONTEXT,
    slots: continuations.length,
    gpuGraph,
  };
  const engine = await openEngine(options);
  expect(engine.refusal).toBeUndefined();
  const outputs = await Promise.all(continuations.map(({ prompt, ids }) => engine.continueWith(prompt, ids.length, 0)));
  for (const [index, tokens] of outputs.entries())
    expect(differenceFrom(continuations[index]!, tokens)).toBeUndefined();
  return engine.facts?.gpuGraph;
}
