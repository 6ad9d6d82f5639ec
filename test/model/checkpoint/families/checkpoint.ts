/** The tensors that a checkpoint of each family has, written down by hand: names and shapes without contents. */
import type { TensorPlace } from '../../../../src/protocol/decoder/decoder-spec.ts';
import type { Config } from './configurations.ts';

export type Tensors = Map<string, TensorPlace>;

const BFLOAT16 = 16;

const count = (config: Config, name: string): number => {
  const value = config[name];
  if (typeof value !== 'number') throw new Error(`The test needs "${name}".`);
  return value;
};

/** Consecutive places in one file, in the order of the names. */
export function placesOf(shapes: Readonly<Record<string, readonly number[]>>): Tensors {
  let offset = 1000;
  const places: Tensors = new Map();
  for (const [name, shape] of Object.entries(shapes)) {
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    places.set(name, { file: 0, offset, bytes, type: BFLOAT16, shape });
    offset += bytes;
  }
  return places;
}

/** The tensors of a model of text. A multimodal configuration is replaced by its part for text. */
export function tensorsOf(model: Config, body = 'model.', head = 'lm_head'): Tensors {
  const text = model['text_config'];
  if (text !== undefined) {
    const sizes = { vocab_size: 262208, num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256 };
    const shapes = shapesOf({ ...sizes, ...(text as Config) }, 'language_model.model.', 'language_model.lm_head');
    return placesOf({ ...shapes, 'vision_tower.vision_model.embeddings.patch_embedding.bias': [1152] });
  }
  return placesOf(shapesOf(model, body, head));
}

function shapesOf(config: Config, body: string, head: string): Record<string, readonly number[]> {
  const [hidden, vocab] = [count(config, 'hidden_size'), count(config, 'vocab_size')];
  const type = String(config['model_type']);
  const isTied = config['tie_word_embeddings'] ?? (type.startsWith('gemma') || type === 'smollm3');
  const layers = Array.from({ length: count(config, 'num_hidden_layers') }, (_, i) =>
    Object.entries(layerShapes(config, type)).map(([name, shape]) => [`${body}layers.${i}.${name}`, shape] as const),
  );
  return {
    [`${body}embed_tokens.weight`]: [vocab, hidden],
    ...Object.fromEntries(layers.flat()),
    [`${body}norm.weight`]: [hidden],
    ...(isTied ? {} : { [`${head}.weight`]: [vocab, hidden] }),
  };
}

function layerShapes(config: Config, type: string): Record<string, readonly number[]> {
  const [hidden, heads, inner] = [
    count(config, 'hidden_size'),
    count(config, 'num_attention_heads'),
    count(config, 'intermediate_size'),
  ];
  const size = typeof config['head_dim'] === 'number' ? config['head_dim'] : hidden / heads;
  const [q, kv] = [heads * size, count(config, 'num_key_value_heads') * size];
  const isGemma = type === 'gemma2' || type === 'gemma3_text';
  const shapes: Record<string, readonly number[]> =
    type === 'phi3'
      ? { 'self_attn.qkv_proj.weight': [q + 2 * kv, hidden], 'mlp.gate_up_proj.weight': [2 * inner, hidden] }
      : {
          'self_attn.q_proj.weight': [q, hidden],
          'self_attn.k_proj.weight': [kv, hidden],
          'self_attn.v_proj.weight': [kv, hidden],
          'mlp.gate_proj.weight': [inner, hidden],
          'mlp.up_proj.weight': [inner, hidden],
        };
  shapes['self_attn.o_proj.weight'] = [hidden, q];
  shapes['mlp.down_proj.weight'] = [hidden, inner];
  shapes['post_attention_layernorm.weight'] = [hidden];
  if (type !== 'olmo2') shapes['input_layernorm.weight'] = [hidden];
  if (type === 'olmo2' || isGemma) shapes['post_feedforward_layernorm.weight'] = [hidden];
  if (isGemma) shapes['pre_feedforward_layernorm.weight'] = [hidden];
  if (type === 'qwen2')
    for (const name of ['q', 'k', 'v']) shapes[`self_attn.${name}_proj.bias`] = [name === 'q' ? q : kv];
  const isHead = type === 'qwen3' || type === 'gemma3_text';
  if (isHead || type === 'olmo2') {
    shapes['self_attn.q_norm.weight'] = [isHead ? size : q];
    shapes['self_attn.k_norm.weight'] = [isHead ? size : kv];
  }
  return shapes;
}
