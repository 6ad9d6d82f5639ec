/**
 * `genai_config.json`, which ONNX Runtime GenAI's model builder writes beside a model: where the graph is, what it calls its inputs and
 * outputs, its shape, and how it wants to be sampled. https://onnxruntime.ai/docs/genai/reference/config.html
 */
import { normalize } from 'node:path';
import { z } from 'zod';
import type { TensorNames } from '../protocol/loading.ts';
import { count, ids, readFields, sampling } from './json-fields.ts';
import { leavesFolder, type ModelProblem } from './problems.ts';

const LONGEST_NAME = 256;
const name = z.string().min(1).max(LONGEST_NAME).nullish();
/** The name of a cache's part in every layer. */
const template = name.refine((text) => !text || text.split('%d').length === 2, 'expected one %d, for the layer');

/** @param needed whether the shape of the model is said nowhere else. */
const genaiConfig = (needed: boolean) =>
  z.looseObject({
    model: z.looseObject({
      type: needed ? z.string() : z.string().nullish(),
      vocab_size: count(needed),
      context_length: count(needed),
      eos_token_id: ids,
      decoder: z.looseObject({
        num_hidden_layers: count(needed),
        num_attention_heads: count(needed),
        num_key_value_heads: count(false),
        head_size: count(needed),
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
    search: z.looseObject(sampling).nullish(),
  });

export type GenaiConfig = z.infer<ReturnType<typeof genaiConfig>>;

/** Undefined: there is no such file, or it has problems, which are added to the list. */
export function readGenai(
  path: string | undefined,
  needed: boolean,
  problems: ModelProblem[],
): Promise<GenaiConfig | undefined> {
  return readFields(path, genaiConfig(needed), problems);
}

const location = z.looseObject({
  model: z.looseObject({
    decoder: z.looseObject({
      filename: z
        .string()
        .min(1)
        .refine((file) => !leavesFolder(file), 'it leaves the folder')
        .nullish(),
    }),
  }),
});

/** Path of the .onnx file from the folder, normalized. Undefined: it is not said, or wrongly, which is added to the problems. */
export async function graphFileOf(path: string | undefined, problems: ModelProblem[]): Promise<string | undefined> {
  const said = await readFields(path, location, problems);
  const file = said?.model.decoder.filename;
  return typeof file === 'string' ? normalize(file) : undefined;
}

/** Names of inputs and outputs, as far as the configuration says them. */
export function portNamesOf(genai: GenaiConfig | undefined): TensorNames {
  const { inputs, outputs } = genai?.model.decoder ?? {};
  const said: { [port in keyof TensorNames]-?: string | null | undefined } = {
    inputIds: inputs?.input_ids,
    attentionMask: inputs?.attention_mask,
    positionIds: inputs?.position_ids,
    pastKey: inputs?.past_key_names,
    pastValue: inputs?.past_value_names,
    logits: outputs?.logits,
    presentKey: outputs?.present_key_names,
    presentValue: outputs?.present_value_names,
  };
  return Object.fromEntries(Object.entries(said).filter(([, text]) => typeof text === 'string'));
}

/**
 * The defaults of `search` in the words of `generation_config.json`. GenAI samples only when it is told to, and takes a `top_p` of 0 as
 * off. Its `max_length` is no limit of the model but a default that callers override (20 in its own example), and is not read.
 */
export function searchOf(genai: GenaiConfig | undefined): NonNullable<GenaiConfig['search']> | undefined {
  const search = genai?.search;
  if (!search) return undefined;
  return { ...search, do_sample: search.do_sample ?? false, top_p: search.top_p || undefined };
}
