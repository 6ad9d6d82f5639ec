/**
 * Reads the decoder that a model's configuration and checkpoint describe. A model with ONNX weights has its
 * decoder in its graph.
 */
import { z } from 'zod';
import type { DecoderSpec } from '../../protocol/decoder-spec.ts';
import { ModelError, type ModelProblem } from '../problems.ts';
import { readFields } from '../spec/json-fields.ts';
import { decoderSpecOf } from './families/decoder-spec.ts';
import { UnsupportedCheckpoint } from './families/unsupported.ts';
import type { Checkpoint } from './shards.ts';

const CONFIG = 'config.json';

/** The files of a model with a checkpoint. */
export interface CheckpointFiles {
  readonly folder: string;
  readonly configFile?: string;
  readonly choices: readonly { readonly checkpoint?: Checkpoint }[];
}

/**
 * The decoder of the checkpoint; undefined if no device takes the checkpoint. All devices take the same one.
 * @param context tokens of prompt and output together
 * @throws ModelError for an architecture that the worker cannot compute
 */
export async function readDecoder(
  { folder, configFile, choices }: CheckpointFiles,
  context: number,
): Promise<DecoderSpec | undefined> {
  const { checkpoint } = choices.find((choice) => choice.checkpoint !== undefined) ?? {};
  if (checkpoint === undefined) return undefined;
  const problems: ModelProblem[] = [];
  const config = await readFields(configFile, z.looseObject({}), problems);
  if (configFile === undefined) problems.push({ file: CONFIG, problem: 'is missing: a checkpoint needs it' });
  if (config === undefined) throw new ModelError(folder, problems);
  try {
    return decoderSpecOf(config, checkpoint.tensors, context);
  } catch (error) {
    if (!(error instanceof UnsupportedCheckpoint)) throw error;
    throw new ModelError(folder, error.problems);
  }
}
