/** All test models that WebGPU in software computes, captured and eager: the reference ids. About 15 minutes. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { softwareVulkan } from '../../support/vulkan.ts';
import { stopEngines, TIMEOUT_MS } from './engine-process.ts';
import { expectReferenceIds, MODELS } from './gpu-graph-models.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-graph-long-')));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopEngines);

describe.runIf(softwareVulkan)(
  'WebGPU generates the reference ids, all prompts at once',
  { timeout: TIMEOUT_MS },
  () => {
    it.each(MODELS)('of %s with captured steps, in the mode %o', async (name, facts) => {
      expect(await expectReferenceIds(name, 'captured', root)).toEqual(facts);
    });

    it.each(MODELS.filter(([, { mode }]) => mode === 'captured'))('of %s with eager steps', async (name) => {
      expect(await expectReferenceIds(name, 'eager', root)).toEqual({ mode: 'eager' });
    });
  },
);
