/**
 * The file that describes a model: config.json, or a GGUF file whose metadata were brought into the form of
 * config.json. States the names in that file for messages, and the facts that config.json has no field for.
 * Pure.
 */
export interface ConfigOrigin {
  /** Name of the file in messages. */
  readonly file: string;
  /** Name in messages of the file that lists the tensors. */
  readonly tensorFile: string;
  /** The name in the file of a field of config.json, with its path: `llama.attention.head_count`. */
  readonly fieldName: (field: string) => string;
  /** The name in the file of a tensor of transformers: `blk.0.attn_q.weight`. */
  readonly tensorName: (name: string) => string;
  /** Rotary embeddings rotate the elements 2i and 2i + 1: the rows of q and k are in that order. */
  readonly isInterleaved?: true;
  /** Norms store the whole factor in each family, and not its difference from 1. */
  readonly hasWholeNorms?: true;
  /** Numbers by which the frequencies of the rotary embedding are divided, one for each pair. */
  readonly divisors?: readonly number[];
}

const same = (name: string): string => name;

/** A folder of transformers. */
export const CONFIG_JSON: ConfigOrigin = {
  file: 'config.json',
  tensorFile: 'model.safetensors',
  fieldName: same,
  tensorName: same,
};
