/** Random checkpoints on WebGPU, on a software renderer: the ids and log-probabilities of the reference. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { differenceFrom } from '../../support/checkpoints/continuations.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { openEngine, stopEngines, TIMEOUT_MS } from './engine-process.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'checkpoints-webgpu-')));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopEngines);

/**
 * One of each kind of graph: heads that the operator does not take, a window, norms of queries and keys over the
 * head and over the width, matrices that the checkpoint packs, softcaps, layers without positions.
 */
const SHOWN = ['llama-head-20', 'mistral', 'qwen3', 'phi3-long', 'gemma-2', 'smollm3-interval', 'olmo-2'];

describe.runIf(softwareVulkan)('WebGPU', () => {
  it.each(SHOWN)('generates the reference ids of %s', { timeout: TIMEOUT_MS }, async (name) => {
    const model = checkpointNamed(name);
    const folder = join(root, name);
    writeCheckpoint(folder, model);
    const candidates = [await candidateOf(folder, 'webgpu', CONTEXT)];
    const engine = await openEngine({ candidates, context: CONTEXT, slots: 2 });
    expect(engine.refusal).toBeUndefined();
    // The prompts of 5 and 40 ids: the second is longer than the window.
    for (const one of model.continuations.slice(1, 3))
      expect(differenceFrom(one, await engine.continueWith(one.prompt, one.ids.length, 0))).toBeUndefined();
  });

  it('refuses a mixture of experts before it reads the weights', { timeout: TIMEOUT_MS }, async () => {
    const folder = join(root, 'gpt-oss');
    writeCheckpoint(folder, checkpointNamed('gpt-oss'));
    const candidates = [await candidateOf(folder, 'webgpu', CONTEXT)];
    // There is no folder for converted weights, which a conversion would report.
    const engine = await openEngine({ candidates, context: CONTEXT, slots: 2 });
    expect(engine.refusal).toMatchObject({ device: 'webgpu', reason: { code: 'no_experts' } });
  });
});
