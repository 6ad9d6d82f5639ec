/** How WebGPU in software decodes the test models if captured steps are asked for; one of each kind. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { softwareVulkan } from '../../support/vulkan.ts';
import { modelFile } from '../harness.ts';
import { openEngine, stopEngines, TIMEOUT_MS } from './engine-process.ts';
import { expectReferenceIds, MODELS, SHOWN } from './gpu-graph-models.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-graph-')));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopEngines);

describe.runIf(softwareVulkan)('with captured steps, WebGPU', () => {
  it.each(MODELS.filter(([name]) => SHOWN.includes(name)))(
    'generates the reference ids of %s, all prompts at once, in the mode %o',
    { timeout: TIMEOUT_MS },
    async (name, facts) => {
      expect(await expectReferenceIds(name, 'captured', root)).toEqual(facts);
    },
  );

  it('has shorter rows if all of them do not fit into the memory of the cache, or decodes without steps', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const candidates = [{ device: 'webgpu' as const, modelFile, weightFiles: [modelFile] }];
    // Rows of 512 tokens of 2 KB. The memory is that of the four slots, and of one row more.
    const open = (rows: number) =>
      openEngine({ candidates, slots: 4, context: 512, cacheMemory: rows * 2 ** 20, gpuGraph: 'captured' });
    const prompt = [0, 17, 42, 99];
    const [shorter, none] = [await open(3), await open(1)];
    expect(shorter.facts).toMatchObject({
      ...{ gpuGraph: { mode: 'captured' }, context: Math.floor((3 * 2 ** 20) / 5 / 2048) },
      cacheLimit: { cause: 'memory', context: 512 },
    });
    expect(none.facts).toMatchObject({ gpuGraph: { mode: 'off', reason: 'memory' } });
    expect(await shorter.run(prompt, 12)).toEqual(await none.run(prompt, 12));
  });
});
