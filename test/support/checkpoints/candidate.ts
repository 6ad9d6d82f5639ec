/**
 * From the folder of a checkpoint to the input of the engine, by the way of the worker. The tests of test/engine open
 * every random checkpoint through this function.
 */
import { join } from 'node:path';
import { convertWeights } from '../../../src/engine/conversion/convert-weights.ts';
import { planConversion } from '../../../src/engine/conversion/plan-conversion.ts';
import { readDecoder } from '../../../src/model/checkpoint/read-decoder.ts';
import { locateModel } from '../../../src/model/locate.ts';
import { type DecoderSpec, hasExperts } from '../../../src/protocol/decoder/decoder-spec.ts';
import { type DeviceName, kindOf } from '../../../src/protocol/devices.ts';
import type { Candidate } from '../../../src/protocol/loading.ts';

/** @param context positions of the worker; the rotary embedding of longrope depends on them. */
export async function candidateOf(folder: string, device: DeviceName, context: number): Promise<Candidate> {
  const files = await locateModel(folder, 'auto', [device]);
  const [choice] = files.choices;
  const decoder = await readDecoder(files, context);
  if (!choice || !decoder) throw new Error(`${folder} has no checkpoint`);
  const candidate = { device, modelFile: choice.modelFile, weightFiles: choice.weightFiles, decoder };
  return decoder.layers.some(({ mlp }) => hasExperts(mlp)) ? converted(candidate, folder) : candidate;
}

/** The candidate with converted experts. */
function converted(candidate: Candidate & { readonly decoder: DecoderSpec }, folder: string): Candidate {
  const { device, decoder, weightFiles } = candidate;
  const plan = planConversion(decoder, { device: kindOf(device), file: weightFiles.length });
  if (!plan) throw new Error(`${folder} has no weights to convert`);
  const path = join(folder, 'converted.bin');
  const found = convertWeights(plan, { weightFiles, path, onProgress: () => {} });
  if (found.some(({ difference }) => difference > 0)) throw new Error(`not exact: ${JSON.stringify(found)}`);
  return { ...candidate, decoder: plan.decoder as DecoderSpec, weightFiles: [...weightFiles, path] };
}
