/**
 * The random checkpoints of test/checkpoints: models.json describes each, expected.json has the sha256 of its
 * tensors and the ids with which it continues four prompts. tools/test_checkpoints.py made the ids, without graph
 * and runtime.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('../../checkpoints/', import.meta.url);
const read = (name: string): unknown => JSON.parse(readFileSync(fileURLToPath(new URL(name, FOLDER)), 'utf8'));

/** The fields of config.json that decide the shapes of tensors. */
export interface CheckpointConfig {
  readonly model_type: string;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim?: number | null;
  /** Experts of Qwen3-MoE, and of gpt-oss. */
  readonly num_experts?: number;
  readonly num_local_experts?: number;
  readonly moe_intermediate_size?: number;
  /** The experts are in MXFP4, as gpt-oss is published. */
  readonly quantization_config?: { readonly quant_method: 'mxfp4' };
  /** Layers with an MLP in place of experts. */
  readonly mlp_only_layers?: readonly number[];
  readonly vocab_size: number;
  readonly tie_word_embeddings: boolean;
  readonly max_position_embeddings: number;
  readonly bos_token_id: number;
  readonly eos_token_id: number;
}

export interface CheckpointModel {
  /** The property for which the model exists. */
  readonly special: string;
  readonly dtype: 'float32' | 'float16' | 'bfloat16';
  readonly seed: number;
  /** Number of files; absent = 1. */
  readonly shards?: number;
  /** Matrices that have a bias: `q_proj`. */
  readonly biases?: readonly string[];
  /** Size of the values, by kind of tensor; `matrix` is the default. */
  readonly gains: Readonly<Record<string, number>>;
  readonly config: CheckpointConfig;
}

/** The greedy continuation of a prompt. */
export interface Continuation {
  readonly prompt: readonly number[];
  readonly ids: readonly number[];
  /** Natural log of the probability of each id. */
  readonly logprobs: readonly number[];
}

interface Models {
  readonly context: number;
  readonly gains: Readonly<Record<string, number>>;
  readonly models: Readonly<Record<string, Omit<CheckpointModel, 'gains'> & Partial<Pick<CheckpointModel, 'gains'>>>>;
}

interface Expected {
  readonly models: Readonly<
    Record<string, { readonly sha256: string; readonly continuations: readonly Continuation[] }>
  >;
}

const described = read('models.json') as Models;
const expected = read('expected.json') as Expected;

/** Positions of a worker that serves these models. */
export const CONTEXT = described.context;

export interface Checkpoint extends CheckpointModel {
  readonly name: string;
  /** Of all tensors, as `digestOf` computes it. */
  readonly sha256: string;
  readonly continuations: readonly Continuation[];
}

export const CHECKPOINTS: readonly Checkpoint[] = Object.entries(described.models).map(([name, model]) => {
  const known = expected.models[name];
  if (!known) throw new Error(`${name} is in models.json but not in expected.json: run tools/test_checkpoints.py`);
  return { ...model, ...known, name, gains: { ...described.gains, ...model.gains } };
});

export function checkpointNamed(name: string): Checkpoint {
  const found = CHECKPOINTS.find((one) => one.name === name);
  if (!found) throw new Error(`no checkpoint ${name} in test/checkpoints/models.json`);
  return found;
}
