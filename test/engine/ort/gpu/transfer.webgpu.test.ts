/** Copies between host and WebGPU, and recorded runs that read the copied tensors. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { softwareVulkan } from '../../../support/vulkan.ts';

const SCRIPT = fileURLToPath(new URL('../../../support/transfer-on-device.mjs', import.meta.url));
const ROUNDS = 10_000;
const TIMEOUT_MS = 600_000;
/** Less than 2 KB for each round. 9 000 recorded runs that are not released take 97 MB. */
const MAX_GROWTH = 16 * 2 ** 20;

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly call?: string;
  readonly code?: number;
}

interface Outcome {
  readonly offers: readonly boolean[];
  readonly onCpu: boolean;
  readonly wrong: number;
  readonly bytes: number;
  readonly grown: number;
  readonly wholeEqual: boolean;
  readonly otherSize: Failure;
  readonly otherSizeBack: Failure;
  readonly noTensors: Failure;
  readonly noKey: Failure;
  readonly eager: readonly number[];
  readonly recorded: readonly number[];
  readonly replayed: readonly (readonly number[])[];
  readonly recordedAgain: readonly (readonly number[])[];
  readonly replayedAgain: readonly number[];
  readonly lost: number;
  readonly grownByRecording: number;
}

describe.runIf(softwareVulkan)('a transfer between host and WebGPU', () => {
  let outcome: Outcome;
  beforeAll(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', SCRIPT, `${ROUNDS}`], {
      env: { ...softwareVulkan },
    });
    outcome = JSON.parse(stdout) as Outcome;
  }, TIMEOUT_MS);

  it('is offered by the library, and the CPU needs none', () => {
    expect(outcome.offers).toEqual([true, true]);
    expect(outcome.onCpu).toBe(true);
  });

  it('returns all numbers of 10 000 round trips, from 4 bytes to 1 MB, and the memory does not grow', () => {
    expect(outcome.wrong).toBe(0);
    expect(outcome.wholeEqual).toBe(true);
    expect(outcome.bytes).toBeGreaterThan(5e9);
    expect(outcome.grown).toBeLessThan(MAX_GROWTH);
  });

  it('refuses tensors of different sizes before it copies any', () => {
    const refusal = { name: 'RangeError', message: 'The tensors of a copy have 4 bytes and 8 bytes' };
    expect([outcome.otherSize, outcome.otherSizeBack]).toEqual([refusal, refusal]);
  });

  it('fails with the message and the code of the runtime', () => {
    expect(outcome.noTensors).toEqual({
      name: 'OrtError',
      call: 'copyTensors',
      code: 2,
      message: 'Invalid arguments provided to CopyTensors.',
    });
    expect(outcome.noKey).toMatchObject({ call: 'addRunConfigEntry', code: 2 });
  });

  it('feeds a replay, which writes to the tensors of the recording, until the recording is released', () => {
    expect([outcome.eager, outcome.recorded]).toEqual([
      [3, 0],
      [7, 0],
    ]);
    expect(outcome.replayed).toEqual([
      [11, 0],
      [15, 0],
    ]);
    expect([...outcome.recordedAgain, outcome.replayedAgain]).toEqual([
      [15, 19],
      [15, 23],
      [15, 27],
    ]);
  });

  it('feeds 10 000 recordings, and the released ones leave no memory behind', () => {
    expect(outcome.lost).toBe(0);
    expect(outcome.grownByRecording).toBeLessThan(MAX_GROWTH);
  });
});
