/**
 * The test models that gpu-graph.webgpu.test.ts leaves out, with captured steps where they can be recorded: the
 * reference ids.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { softwareVulkan } from '../../support/vulkan.ts';
import { stopEngines, TIMEOUT_MS } from './engine-process.ts';
import { expectReferenceIds, MODELS, SHOWN } from './gpu-graph-models.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-graph-long-')));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopEngines);

describe.runIf(softwareVulkan)('with captured steps, WebGPU', { timeout: TIMEOUT_MS }, () => {
  it.each(MODELS.filter(([name]) => !SHOWN.includes(name)))(
    'generates the reference ids of %s, all prompts at once, in the mode %o',
    async (name, facts) => {
      expect(await expectReferenceIds(name, 'captured', root)).toEqual(facts);
    },
  );
});
