/**
 * Reads `genai_config.json`, which the model builder of ONNX Runtime GenAI writes: path of the graph, names
 * of its inputs and outputs, shape of the model, sampling defaults. Reads no other file.
 * https://onnxruntime.ai/docs/genai/reference/config.html
 */
import { normalize } from 'node:path';
import { z } from 'zod';
import type { TensorNames } from '../../protocol/loading.ts';
import { leavesFolder, type ModelProblem } from '../problems.ts';
import { count, ids, readFields } from './json-fields.ts';

const MAX_NAME = 256;
const name = z.string().min(1).max(MAX_NAME).nullish();
/** Name of a cache tensor, with %d for the layer. */
const template = name.refine((text) => !text || text.split('%d').length === 2, 'expected exactly one %d for the layer');

/** @param required true if no other file states the model's shape */
const genaiConfig = (required: boolean) =>
  z.looseObject({
    model: z.looseObject({
      type: required ? z.string() : z.string().nullish(),
      vocab_size: count(required),
      context_length: count(false),
      eos_token_id: ids,
      decoder: z.looseObject({
        num_hidden_layers: count(required),
        num_attention_heads: count(required),
        num_key_value_heads: count(false),
        head_size: count(required),
        inputs: z
          .looseObject({
            input_ids: name,
            attention_mask: name,
            position_ids: name,
            past_key_names: template,
            past_value_names: template,
          })
          .nullish(),
        outputs: z.looseObject({ logits: name, present_key_names: template, present_value_names: template }).nullish(),
      }),
    }),
    search: z.looseObject({}).nullish(),
  });

export type GenaiConfig = z.infer<ReturnType<typeof genaiConfig>>;

/**
 * Reads the configuration. Returns undefined without a file, or if the file has problems, which are added to
 * `problems`.
 */
export function readGenai(
  path: string | undefined,
  required: boolean,
  problems: ModelProblem[],
): Promise<GenaiConfig | undefined> {
  return readFields(path, () => genaiConfig(required), problems);
}

const location = () =>
  z.looseObject({
    model: z.looseObject({
      decoder: z.looseObject({
        filename: z
          .string()
          .min(1)
          .refine((file) => !leavesFolder(file), 'the path leads out of the folder')
          .nullish(),
      }),
    }),
  });

/**
 * Path of the .onnx file, relative to the folder and normalized. Returns undefined if the field is absent or
 * invalid; an invalid field is added to `problems`.
 */
export async function graphFileOf(path: string | undefined, problems: ModelProblem[]): Promise<string | undefined> {
  const config = await readFields(path, location, problems);
  const file = config?.model.decoder.filename;
  return typeof file === 'string' ? normalize(file) : undefined;
}

/** The names of inputs and outputs in the configuration. */
export function tensorNamesOf(genai: GenaiConfig | undefined): TensorNames {
  const { inputs, outputs } = genai?.model.decoder ?? {};
  const names: { [port in keyof TensorNames]-?: string | null | undefined } = {
    inputIds: inputs?.input_ids,
    attentionMask: inputs?.attention_mask,
    positionIds: inputs?.position_ids,
    pastKey: inputs?.past_key_names,
    pastValue: inputs?.past_value_names,
    logits: outputs?.logits,
    presentKey: outputs?.present_key_names,
    presentValue: outputs?.present_value_names,
  };
  return Object.fromEntries(Object.entries(names).filter(([, text]) => typeof text === 'string'));
}

/**
 * The fields of `search` under the names of `generation_config.json`. GenAI samples only if `do_sample` is
 * true, and treats a `top_p` of 0 as off. `max_length` is ignored: it is not a limit of the model but a
 * default that callers override (20 in GenAI's own example).
 */
export function searchOf(genai: GenaiConfig | undefined): Readonly<Record<string, unknown>> | undefined {
  const search = genai?.search;
  if (!search) return undefined;
  const { do_sample, top_p } = search;
  return { ...search, do_sample: do_sample ?? false, top_p: top_p === 0 ? undefined : top_p };
}
