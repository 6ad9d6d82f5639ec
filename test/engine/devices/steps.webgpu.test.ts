/**
 * Steps of several rows on WebGPU in software, eager and captured: the ids of the CPU while sequences of every
 * kind join and leave at random.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import type { EngineOptions, GpuGraph } from '../../../src/protocol/loading.ts';
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
});

async function checkpoint(name: string, device: DeviceName): Promise<Partial<EngineOptions>> {
  const folder = join(root, name);
  writeCheckpoint(folder, checkpointNamed(name));
  return { candidates: [await candidateOf(folder, device, CONTEXT)] };
}

const WAYS = [
  ['eager', 4],
  ['captured', 4],
  ['eager', 16],
  ['captured', 16],
] as const;

/** Prompts of up to three chunks. With 16 slots, more sequences join than leave. */
async function compare(
  on: (device: DeviceName) => Partial<EngineOptions> | Promise<Partial<EngineOptions>>,
  {
    gpuGraph,
    slots,
    vocabulary,
    grammars,
  }: Readonly<Record<'slots' | 'vocabulary', number>> & {
    readonly gpuGraph: GpuGraph;
    readonly grammars: boolean;
  },
): Promise<void> {
  const shape = { context: 128, prefillChunk: 8, slots };
  const cpu = new Bench({ ...(await on('cpu')), ...shape });
  const engine = await openEngine({ ...(await on('webgpu')), ...shape, gpuGraph });
  expect(engine.facts?.gpuGraph).toEqual({ mode: gpuGraph });
  if (grammars) {
    cpu.engine.setVocabulary(haikuVocabulary);
    engine.send({ kind: 'vocabulary', data: haikuVocabulary });
  }
  const longest = slots === 4 ? 20 : 16;
  const kind = { vocabulary, longest, grammars, together: (slots * 3) / 4 };
  const joining = joiningRequests(slots, slots + 8, kind);
  await expectOutcomesOf(cpu, engine, joining);
  // Steps over all rows took place, and steps over fewer.
  expect(Math.max(...engine.batches)).toBeGreaterThan(slots / 2);
  expect(engine.batches).toContain(1);
  cpu.engine.close();
}

describe.runIf(softwareVulkan)('sequences that join and leave the steps at random have the ids of the CPU', () => {
  it.each(WAYS)('with the embedded model: %s, %i slots', { timeout: TIMEOUT_MS }, (gpuGraph, slots) =>
    compare(haiku, { gpuGraph, slots, vocabulary: 1000, grammars: true }),
  );

  it.each(WAYS)('with a checkpoint in bfloat16: %s, %i slots', { timeout: TIMEOUT_MS }, (gpuGraph, slots) =>
    compare((device) => checkpoint('qwen3', device), { gpuGraph, slots, vocabulary: 60, grammars: false }),
  );
});
