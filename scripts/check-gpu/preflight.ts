/**
 * Opens a small model on each device before the check begins, so that a device which does not open costs no
 * time, and finds the library for each: one with the provider of CUDA may be built without WebGPU.
 */
import type { DeviceName } from '../../src/protocol/devices.ts';
import { continueAll, rightOf, testModels } from './correctness.ts';

/** A renderer in software compiles its first shaders for half a minute. */
const TIMEOUT_MS = 90_000;

/** A device that opens, with its library. */
export interface UsableDevice {
  readonly device: DeviceName;
  readonly runtimeLibrary: string;
  readonly runtimeVersion: string;
}

export interface Preflight {
  readonly usable: readonly UsableDevice[];
  /** Why the other devices do not open, one sentence for each of them and each library. */
  readonly refused: readonly string[];
}

/** @param libraries the first that opens a device is used for it. */
export async function findUsable(
  devices: readonly DeviceName[],
  libraries: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Preflight> {
  const usable: UsableDevice[] = [];
  const refused: string[] = [];
  const [model] = testModels();
  if (!model) throw new Error('test/models has no model');
  for (const device of devices) {
    for (const runtimeLibrary of libraries) {
      const outcome = await continueAll({ runtimeLibrary, device, env, timeoutMs: TIMEOUT_MS }, model);
      const { facts, problem = `${rightOf(model, outcome)} of ${model.expected.length} prompts right` } = outcome;
      // Wrong ids are a result of the check, not an obstacle.
      if (facts) {
        usable.push({ device, runtimeLibrary, runtimeVersion: facts.runtimeVersion });
        break;
      }
      refused.push(`${device} with ${runtimeLibrary}: ${problem}`);
    }
  }
  return { usable, refused };
}
