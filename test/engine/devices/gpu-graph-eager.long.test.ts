/** The test models whose steps WebGPU in software records, with eager steps: the reference ids. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { softwareVulkan } from '../../support/vulkan.ts';
import { stopEngines, TIMEOUT_MS } from './engine-process.ts';
import { expectReferenceIds, MODELS } from './gpu-graph-models.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-graph-eager-')));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopEngines);

const captured = MODELS.flatMap(([name, { mode }]) => (mode === 'captured' ? [name] : []));

describe.runIf(softwareVulkan)('with eager steps, WebGPU', { timeout: TIMEOUT_MS }, () => {
  it.each(captured)('generates the reference ids of %s, all prompts at once', async (name) => {
    expect(await expectReferenceIds(name, 'eager', root)).toEqual({ mode: 'eager' });
  });
});
