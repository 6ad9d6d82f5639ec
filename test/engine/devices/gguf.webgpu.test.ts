/** GGUF models with matrices in blocks on WebGPU, on a software renderer: the ids of the CPU. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { type QuantizedModel, quantizedModel, referenceOf, writeModel } from '../quantized/quantized-model.ts';
import { openEngine, stopEngines, TIMEOUT_MS } from './engine-process.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'gguf-webgpu-')));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopEngines);

/** 4 and 8 bits, with and without minimums, blocks of 16 and 32. */
const MODELS: readonly QuantizedModel[] = [
  { name: 'qwen3', formats: { others: 'q4_1', attn_v: 'q8_0' } },
  { name: 'llama-linear', formats: { others: 'q3_k', ffn_down: 'q6_k', ffn_up: 'q5_k' } },
];
const NEW_TOKENS = 8;

describe.runIf(softwareVulkan)('WebGPU', () => {
  it.each(MODELS.map((one) => [one.name, Object.values(one.formats).join(', '), one] as const))(
    'generates the ids of the reference of %s in %s',
    { timeout: TIMEOUT_MS },
    async (name, _, model) => {
      const gguf = quantizedModel(model);
      const reference = await referenceOf(join(root, name, 'floats'), gguf);
      const file = writeModel(join(root, name), gguf);
      const candidates = [await candidateOf(file, 'webgpu', CONTEXT)];
      const engine = await openEngine({ candidates, context: CONTEXT, slots: 2, temporaryFolder: root });
      expect(engine.refusal).toBeUndefined();
      expect(engine.facts?.cpuDifference).toBeLessThan(0.1);
      for (const { prompt } of checkpointNamed(name).continuations.slice(0, 3)) {
        const tokens = await engine.continueWith(prompt, NEW_TOKENS, 258);
        const ids = tokens.map(({ id }) => id);
        const logits = reference([...prompt, ...ids].slice(0, -1)).slice(-NEW_TOKENS);
        // WebGPU computes with float32: the ids are those of the reference.
        expect(ids).toEqual(logits.map((row) => row.indexOf(Math.max(...row))));
      }
    },
  );
});
