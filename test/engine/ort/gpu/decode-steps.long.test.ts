/** 10 000 recorded steps on WebGPU in software, which are released again. Four minutes. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MAX_RECORDED } from '../../../../src/engine/ort/gpu/decode-steps.ts';
import { softwareVulkan } from '../../../support/vulkan.ts';
import { runSteps, TINY } from './steps-process.ts';

const ROUNDS = 10_000;
/** Less than 2 KB for each recorded step, after the first 1 000. */
const MAX_GROWTH = 16 * 2 ** 20;

interface Captures {
  readonly wrong: number;
  readonly grown: number;
  readonly recorded: number;
  readonly left: readonly string[];
}

it.runIf(softwareVulkan)(
  '10 000 steps are recorded, replayed and released, and the memory does not grow',
  { timeout: 1_800_000 },
  async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'captures-')));
    try {
      const shape = { ...TINY, layers: [{}] };
      const outcome = await runSteps<Captures>(folder, shape, ['captured', 'captures', ROUNDS]);
      expect(outcome).toMatchObject({ wrong: 0, recorded: MAX_RECORDED, left: [] });
      expect(outcome.grown).toBeLessThan(MAX_GROWTH);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
