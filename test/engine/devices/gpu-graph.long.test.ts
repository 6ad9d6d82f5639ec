/**
 * The test models that gpu-graph.webgpu.test.ts leaves out, with captured steps where they can be recorded: the
 * reference ids. The captured ones also with eager steps, as those of the other suite.
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

describe.runIf(softwareVulkan)(
  'WebGPU generates the reference ids, all prompts at once',
  { timeout: TIMEOUT_MS },
  () => {
    it.each(MODELS.filter(([name]) => !SHOWN.includes(name)))(
      'of %s with captured steps, in the mode %o',
      async (name, facts) => {
        expect(await expectReferenceIds(name, 'captured', root)).toEqual(facts);
      },
    );

    const captured = MODELS.filter(([, { mode }]) => mode === 'captured');
    it.each(captured)('of %s with eager steps', async (name) => {
      expect(await expectReferenceIds(name, 'eager', root)).toEqual({ mode: 'eager' });
    });
  },
);
