/** A stand-in for the derivation of configuration and tokenizer: plain Llama models, byte-level BPE. */
import { basename } from 'node:path';
import type { StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';
import { Problems } from '../families/unsupported.ts';
import type { DerivedFiles } from './derived-files.ts';
import type { GgufModel, Metadata } from './gguf-file.ts';

const NAMES: readonly [RegExp, string][] = [
  [/^token_embd\./, 'model.embed_tokens.'],
  [/^output_norm\./, 'model.norm.'],
  [/^output\./, 'lm_head.'],
  [/^blk\.(\d+)\.attn_norm\./, 'model.layers.$1.input_layernorm.'],
  [/^blk\.(\d+)\.ffn_norm\./, 'model.layers.$1.post_attention_layernorm.'],
  [/^blk\.(\d+)\.attn_([qkv])\./, 'model.layers.$1.self_attn.$2_proj.'],
  [/^blk\.(\d+)\.attn_output\./, 'model.layers.$1.self_attn.o_proj.'],
  [/^blk\.(\d+)\.ffn_(gate|up|down)\./, 'model.layers.$1.mlp.$2_proj.'],
];

export function deriveConfig(model: GgufModel): Pick<DerivedFiles, 'config' | 'origin' | 'tensors'> {
  const { metadata } = model;
  const origin = {
    file: basename(model.modelFile),
    fieldName: (field: string) => (field === 'max_position_embeddings' ? 'llama.context_length' : field),
    tensorName: (name: string) => name,
    isInterleaved: true as const,
  };
  const problems = new Problems(origin);
  if (metadata.get('general.architecture') !== 'llama')
    problems.config('has another "general.architecture" than llama');
  problems.check();
  const tensors = new Map<string, StoredMatrix>();
  for (const [name, place] of model.tensors)
    tensors.set(
      NAMES.reduce((one, [from, to]) => one.replace(from, to), name),
      place,
    );
  const value = (key: string): unknown => metadata.get(`llama.${key}`);
  const config = {
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: model.tensors.get('token_embd.weight')?.shape[0],
    hidden_size: value('embedding_length'),
    intermediate_size: value('feed_forward_length'),
    num_hidden_layers: value('block_count'),
    num_attention_heads: value('attention.head_count'),
    num_key_value_heads: value('attention.head_count_kv'),
    rms_norm_eps: value('attention.layer_norm_rms_epsilon'),
    max_position_embeddings: value('context_length'),
    tie_word_embeddings: !model.tensors.has('output.weight'),
  };
  return { config, origin, tensors };
}

export function deriveTokenizer(
  metadata: Metadata,
): Pick<DerivedFiles, 'tokenizer' | 'tokenizerConfig' | 'generationConfig'> {
  const tokens = (metadata.get('tokenizer.ggml.tokens') ?? []) as readonly string[];
  const merges = (metadata.get('tokenizer.ggml.merges') ?? []) as readonly string[];
  const types = (metadata.get('tokenizer.ggml.token_type') ?? []) as Int32Array;
  const eos = Number(metadata.get('tokenizer.ggml.eos_token_id') ?? 0);
  const added = tokens.map((content, id) => ({ id, content, special: true })).filter(({ id }) => types[id] === 3);
  return {
    tokenizer: {
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      post_processor: null,
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
    },
    tokenizerConfig: { eos_token: tokens[eos], chat_template: metadata.get('tokenizer.chat_template') },
    generationConfig: { eos_token_id: eos },
  };
}
