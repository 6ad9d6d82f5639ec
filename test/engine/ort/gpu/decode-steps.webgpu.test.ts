/** Steps of several rows on WebGPU in software, with rows that move, faults of the runtime, and no memory. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_RECORDED } from '../../../../src/engine/ort/gpu/decode-steps.ts';
import { softwareVulkan } from '../../../support/vulkan.ts';
import { runSteps, TINY } from './steps-process.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'decode-steps-')));
afterAll(() => rmSync(folder, { recursive: true }));

/** SwiftShader compiles a shader for every operator and shape that is new to it. */
const TIMEOUT_MS = 600_000;
const OPERATIONS = 250;

interface Operations {
  readonly growths: readonly string[];
  /** The largest difference from the logits of rows that never move, and the operation that had it. */
  readonly worst: number;
  readonly worstAt?: string;
  readonly counts: Readonly<Record<'step' | 'append' | 'copy' | 'cut' | 'forget', number>>;
  /** Lists of the best logits that are not those of all logits. */
  readonly unsorted: number;
  readonly recorded: number;
  readonly faults: number;
  /** Calls that made the objects of the runtime that are left. */
  readonly left: readonly string[];
}

interface Keys {
  /** Number of recorded steps, and of bindings, after each step. */
  readonly recorded: readonly number[];
  readonly bindings: readonly number[];
  readonly worst: number;
  readonly repeated: number;
  readonly fault: string;
  readonly dropped: number;
  readonly afterFault: number;
  readonly recordedAgain: number;
  readonly unrecorded: number;
  readonly recordedLess: number;
  readonly secondFault: string;
  readonly afterFaults: number;
  readonly recordedLater: number;
  readonly left: readonly string[];
}

interface Memory {
  readonly failures: number;
  readonly messages: readonly string[];
  readonly isOpen: boolean;
  readonly left: readonly string[];
}

interface Leftovers {
  /** True for logits that are finite. */
  readonly broken: readonly boolean[];
  readonly worst: number;
}

const MODES = ['eager', 'captured'] as const;

describe.runIf(softwareVulkan)('steps on WebGPU', { timeout: TIMEOUT_MS }, () => {
  it.each(MODES.flatMap((mode) => [1, 2].map((seed) => [mode, seed] as const)))(
    'have the logits of rows that never move, after random moves, copies and faults: %s, seed %i',
    async (mode, seed) => {
      const outcome = await runSteps<Operations>(folder, TINY, [mode, 'operations', OPERATIONS, seed]);
      expect(outcome.growths).toEqual(['none', 'doubling']);
      // Both run the same programs of the device.
      expect([outcome.worst, outcome.worstAt]).toEqual([expect.any(Number), undefined]);
      expect(outcome.worst).toBeLessThan(1e-5);
      expect(outcome.unsorted).toBe(0);
      expect(outcome.counts.step).toBeGreaterThan(OPERATIONS / 4);
      expect(outcome.faults).toBeGreaterThan(5);
      // One row, one row apart, 2, 4 and 6 rows.
      expect(outcome.recorded).toBe(mode === 'captured' ? 5 : 0);
      expect(outcome.left).toEqual([]);
    },
  );

  // One slot never moves, and the places of three slots are no power of two.
  it.each(MODES.flatMap((mode) => [1, 3].map((slots) => [mode, slots] as const)))(
    'have these logits with few slots too: %s, %i slots',
    async (mode, slots) => {
      const outcome = await runSteps<Operations>(folder, TINY, [mode, 'operations', OPERATIONS, 3, slots]);
      expect([outcome.worst, outcome.worstAt]).toEqual([expect.any(Number), undefined]);
      expect(outcome.worst).toBeLessThan(1e-5);
      expect(outcome.unsorted).toBe(0);
      expect(outcome.faults).toBeGreaterThan(5);
      // One row, and with three slots one row apart, 2 and 3 rows.
      expect(outcome.recorded).toBe(mode === 'eager' ? 0 : slots === 1 ? 1 : 4);
      expect(outcome.left).toEqual([]);
    },
  );

  it.each(MODES)('release everything if there is no memory for them: %s', async (mode) => {
    const { failures, messages, isOpen, left } = await runSteps<Memory>(folder, TINY, [mode, 'memory']);
    // The cache of two layers, of all rows and of one row, and the inputs and results of the steps.
    expect(failures).toBeGreaterThan(2 * 2 * 2);
    expect(messages).toEqual(['failed to create GPU buffer']);
    expect([isOpen, left]).toEqual([true, []]);
  });

  it('are recorded by the check of the load, so that no request waits for a recording', async () => {
    const outcome = await runSteps<{ recorded: number[]; left: string[] }>(folder, TINY, ['captured', 'check']);
    // One row, one row apart, 2, 4 and 6 rows.
    expect(outcome).toEqual({ recorded: Array.from({ length: 7 }, () => 5), left: [] });
  });

  it.each(MODES)('do not read the numbers that an earlier row has left behind a shorter one: %s', async (mode) => {
    const spoil = { firstEmbedding: Number.NaN };
    const scenario = [mode, 'leftovers'] as const;
    const { broken, worst } = await runSteps<Leftovers>(folder, { ...TINY, tied: false, ...spoil }, scenario);
    expect(broken).toEqual([false, false, false]);
    expect(worst).toBeLessThan(1e-5);
  });

  describe('are recorded', () => {
    let outcome: Keys;
    beforeAll(async () => {
      outcome = await runSteps<Keys>(folder, TINY, ['captured', 'keys', MAX_RECORDED + 12]);
    }, TIMEOUT_MS);

    it('up to a number, and the oldest is released for a new one', () => {
      expect(outcome.recorded).toEqual(
        Array.from({ length: MAX_RECORDED + 12 }, (_, index) => Math.min(MAX_RECORDED, index + 2)),
      );
      expect(outcome.bindings).toEqual(outcome.recorded);
      expect(outcome.left).toEqual([]);
    });

    it('again after their release, and right each time', () => {
      expect(outcome.worst).toBeLessThan(1e-5);
      expect(outcome.repeated).toBeLessThan(1e-5);
    });

    it('unless a step fails while it is recorded: it runs without a recording', () => {
      expect(outcome.unrecorded).toBeLessThan(1e-5);
      expect(outcome.recordedLess).toBe(1);
    });

    it('when they run again, if they also fail without a recording', () => {
      expect([outcome.secondFault, outcome.recordedLater]).toEqual(['forced', 1]);
      expect(outcome.afterFaults).toBeLessThan(1e-5);
    });

    it('again after a run that failed, which drops its step', () => {
      expect([outcome.fault, outcome.dropped, outcome.recordedAgain]).toEqual(['forced', 1, 0]);
      expect(outcome.afterFault).toBeLessThan(1e-5);
    });
  });
});
