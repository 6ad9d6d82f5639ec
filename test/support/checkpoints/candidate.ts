/**
 * From the folder of a checkpoint to the input of the engine, by the way of the worker. The tests of test/engine open
 * every random checkpoint through this function.
 */

import type { GraphCandidate } from '../../../src/engine/ort/built-model.ts';
import { readDecoder } from '../../../src/model/checkpoint/read-decoder.ts';
import { locateModel } from '../../../src/model/locate.ts';
import type { DecoderSpec, GraphMatrix } from '../../../src/protocol/decoder/decoder-spec.ts';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import type { Candidate } from '../../../src/protocol/loading.ts';

/** @param context positions of the worker; the rotary embedding of longrope depends on them. */
export async function candidateOf(folder: string, device: DeviceName, context: number): Promise<Candidate> {
  const files = await locateModel(folder, 'auto', [device]);
  const [choice] = files.choices;
  const decoder = await readDecoder(files, context);
  if (!choice || !decoder) throw new Error(`${folder} has no checkpoint`);
  return { device, modelFile: choice.modelFile, weightFiles: choice.weightFiles, decoder };
}

/** A candidate without matrices in blocks, as the engine opens it. */
export const readable = ({ decoder, ...files }: Candidate): GraphCandidate => ({
  ...files,
  ...(decoder && { decoder: decoder as DecoderSpec<GraphMatrix> }),
});
