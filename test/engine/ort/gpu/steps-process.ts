/** Runs test/support/steps-on-device.mjs: steps on WebGPU in software, in a process of their own. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type RandomShape, writeRandomDecoder } from '../../../support/random-decoder.ts';
import { softwareVulkan } from '../../../support/vulkan.ts';

const SCRIPT = fileURLToPath(new URL('../../../support/steps-on-device.mjs', import.meta.url));

/** One key head, so that a step takes a millisecond. */
export const TINY: RandomShape = { hidden: 32, heads: 2, kvHeads: 1, headSize: 16 };

/**
 * Runs a scenario with a random model.
 * @param folder for the files of the model
 */
export async function runSteps<T>(
  folder: string,
  shape: RandomShape,
  scenario: readonly (string | number)[],
): Promise<T> {
  const file = join(folder, `${Object.keys(shape).join('-')}-${scenario.join('-')}`);
  writeFileSync(`${file}.json`, JSON.stringify(writeRandomDecoder(`${file}.bin`, shape)('webgpu')));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', SCRIPT, `${file}.json`, ...scenario.map(String)],
    { env: { ...softwareVulkan }, maxBuffer: 2 ** 26 },
  );
  return JSON.parse(stdout) as T;
}
