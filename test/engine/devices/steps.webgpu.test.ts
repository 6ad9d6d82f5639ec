/**
 * Steps of several rows on WebGPU in software, eager and captured: the ids of the CPU while sequences join,
 * leave, pause, copy each other, and read prompts beside the steps.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { haikuVocabulary } from '../grammars.ts';
import { Bench, modelFile } from '../harness.ts';
import { openEngine, stopEngines, TIMEOUT_MS } from './engine-process.ts';
import { expectOutcomesOf, joiningRequests } from './mixed-requests.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'steps-webgpu-')));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(stopEngines);

const haiku = (device: DeviceName): Partial<EngineOptions> => ({
  candidates: [{ device, modelFile, weightFiles: [modelFile] }],
  context: 128,
  prefillChunk: 8,
});

async function checkpoint(name: string, device: DeviceName): Promise<Partial<EngineOptions>> {
  const folder = join(root, name);
  writeCheckpoint(folder, checkpointNamed(name));
  return { candidates: [await candidateOf(folder, device, CONTEXT)], context: 128, prefillChunk: 8 };
}

const WAYS = [
  ['eager', 4],
  ['captured', 4],
  ['eager', 16],
  ['captured', 16],
] as const;

describe.runIf(softwareVulkan)('sequences that join and leave the steps at random', () => {
  it.each(WAYS)(
    'have the ids of the CPU: the embedded model, %s, %i slots',
    { timeout: TIMEOUT_MS },
    async (gpuGraph, slots) => {
      const cpu = new Bench({ ...haiku('cpu'), slots });
      cpu.engine.setVocabulary(haikuVocabulary);
      const engine = await openEngine({ ...haiku('webgpu'), slots, gpuGraph });
      expect(engine.facts?.gpuGraph).toEqual({ mode: gpuGraph });
      engine.send({ kind: 'vocabulary', data: haikuVocabulary });
      const joining = joiningRequests(slots, 2 * slots + 4, { vocabulary: 1000, longest: 24, grammars: true });
      await expectOutcomesOf(cpu, engine, joining);
      cpu.engine.close();
    },
  );

  it.each(WAYS)(
    'have the ids of the CPU: a checkpoint in bfloat16, %s, %i slots',
    { timeout: TIMEOUT_MS },
    async (gpuGraph, slots) => {
      const cpu = new Bench({ ...(await checkpoint('qwen3', 'cpu')), slots });
      const engine = await openEngine({ ...(await checkpoint('qwen3', 'webgpu')), slots, gpuGraph });
      expect(engine.facts?.gpuGraph).toEqual({ mode: gpuGraph });
      const joining = joiningRequests(slots + 1, 2 * slots + 4, { vocabulary: 60, longest: 24 });
      await expectOutcomesOf(cpu, engine, joining);
      cpu.engine.close();
    },
  );
});
