/**
 * Reads the decoder that a model's configuration and checkpoint describe. A model with ONNX weights has its
 * decoder in its graph.
 */
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { DecoderSpec } from '../../protocol/decoder/decoder-spec.ts';
import { ModelError, type ModelProblem } from '../problems.ts';
import { isFields, readFields } from '../spec/json-fields.ts';
import type { Fields } from './families/config-fields.ts';
import { checkFamily, decoderSpecOf } from './families/decoder-spec.ts';
import { CONFIG_JSON } from './families/origin.ts';
import { UnsupportedCheckpoint } from './families/unsupported.ts';
import type { DerivedFiles } from './gguf/derived-files.ts';
import type { CheckpointContent } from './shards.ts';

const CONFIG = 'config.json';
/** All fields as they are: a schema of objects would drop a field named `__proto__`. */
const FIELDS = z.custom<Fields>(isFields);
/** Known configurations nest 4 levels deep. Messages and comparisons of values descend to all levels. */
export const MAX_CONFIG_DEPTH = 16;
/**
 * Maximum size of the tables of cosines and sines. Llama 3.1 with 131 072 tokens has 67 MB, Gemma 3 with as
 * many has 268 MB.
 */
export const MAX_TABLE_BYTES = 2 ** 30;
const FLOAT_BYTES = 4;
/** The range of `--context`. */
const [LEAST_CONTEXT, MOST_CONTEXT] = [16, 2 ** 20];

/** The files of a model with a checkpoint. */
export interface CheckpointFiles {
  readonly folder: string;
  readonly configFile?: string;
  readonly choices: readonly { readonly checkpoint?: CheckpointContent }[];
  /** Present for a GGUF model. */
  readonly derived?: DerivedFiles;
}

/**
 * The decoder of the checkpoint; undefined if no device takes the checkpoint. All devices take the same one.
 * @param context tokens of prompt and output together
 * @throws ModelError for an architecture that the worker cannot compute
 */
export async function readDecoder(
  { folder, configFile, choices, derived }: CheckpointFiles,
  context: number,
): Promise<DecoderSpec | undefined> {
  const { checkpoint } = choices.find((choice) => choice.checkpoint !== undefined) ?? {};
  if (checkpoint === undefined) return undefined;
  const config = derived?.config ?? (await readConfig(folder, configFile));
  const origin = derived?.origin ?? { ...CONFIG_JSON, tensorFile: basename(checkpoint.modelFile) };
  return supported(folder, () => {
    const decoder = decoderSpecOf(config, checkpoint.tensors, context, origin);
    const problem = tableProblem(decoder, context);
    if (problem === undefined) return decoder;
    throw new ModelError(folder, [{ file: origin.file, problem }]);
  });
}

/**
 * Checks that the worker computes the architecture which a configuration states, as far as no tensor is
 * needed.
 * @throws ModelError for an architecture that the worker cannot compute
 */
export async function checkArchitecture(folder: string): Promise<void> {
  const config = await readConfig(folder, join(folder, CONFIG));
  supported(folder, () => checkFamily(config));
}

async function readConfig(folder: string, configFile: string | undefined): Promise<Fields> {
  const problems: ModelProblem[] = [];
  const config = await readFields(configFile, FIELDS, problems);
  if (configFile === undefined) problems.push({ file: CONFIG, problem: 'is missing: a checkpoint needs it' });
  if (nests(config, MAX_CONFIG_DEPTH))
    problems.push({ file: CONFIG, problem: `nests deeper than ${MAX_CONFIG_DEPTH} levels, which is the limit` });
  if (config === undefined || problems.length > 0) throw new ModelError(folder, problems);
  return config;
}

/** @throws ModelError instead of UnsupportedCheckpoint */
function supported<T>(folder: string, describe: () => T): T {
  try {
    return describe();
  } catch (error) {
    if (!(error instanceof UnsupportedCheckpoint)) throw error;
    throw new ModelError(folder, error.problems);
  }
}

/** True if a value nests deeper than so many levels. Descends no further. */
function nests(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((one) => nests(one, levels - 1));
}

/** The graph has the tables for all positions of the context, so their size is checked before it is built. */
function tableProblem({ rotaries }: DecoderSpec, context: number): string | undefined {
  const angles = rotaries.reduce((sum, { frequencies }) => sum + frequencies.length, 0);
  const most = Math.floor(MAX_TABLE_BYTES / (2 * FLOAT_BYTES * angles));
  if (context <= most) return undefined;
  const needed = Math.ceil((context * angles * 2 * FLOAT_BYTES) / 2 ** 20);
  return (
    `describes a rotary embedding whose tables for ${context} tokens need ${needed} MiB; allowed: ${MAX_TABLE_BYTES / 2 ** 20} MiB. ` +
    (most < LEAST_CONTEXT ? 'Use another model' : `Use --context ${Math.min(most, MOST_CONTEXT)} or less`)
  );
}
