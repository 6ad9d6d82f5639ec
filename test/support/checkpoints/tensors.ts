/**
 * The tensors of a random checkpoint: the same bytes as tools/random_checkpoint.py makes, which describes the
 * method. expected.json has the sha256 of these bytes.
 */
import { createHash } from 'node:crypto';
import type { CheckpointModel } from './models.ts';

/** Names of element types in a safetensors file. */
const DTYPES = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const;

export interface Tensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Little-endian, in row-major order. */
  readonly data: Uint8Array;
}

type Shapes = Record<string, readonly number[]>;

/** The router and the experts of a layer; undefined for a layer with an MLP. */
function expertShapes(config: CheckpointModel['config'], layer: number): Shapes | undefined {
  const { hidden_size: hidden, intermediate_size, moe_intermediate_size: inner = intermediate_size } = config;
  const { num_experts, num_local_experts, mlp_only_layers } = config;
  const count = num_experts ?? num_local_experts ?? 0;
  const { quantization_config } = config;
  if (count === 0 || mlp_only_layers?.includes(layer)) return undefined;
  const shapes: Shapes = { [num_experts ? 'mlp.gate' : 'mlp.router']: [count, hidden] };
  for (let index = 0; index < (quantization_config ? 0 : count); index++) {
    shapes[`mlp.experts.${index}.gate_proj`] = [inner, hidden];
    shapes[`mlp.experts.${index}.up_proj`] = [inner, hidden];
    shapes[`mlp.experts.${index}.down_proj`] = [hidden, inner];
  }
  return shapes;
}

/** The experts of a layer in MXFP4. */
function joinedShapes(config: CheckpointModel['config'], prefix: string): Shapes {
  const { hidden_size: hidden, intermediate_size: inner, num_local_experts: count = 0, quantization_config } = config;
  const parts = [['gate_up', 2 * inner, hidden] as const, ['down', hidden, inner] as const];
  const entries = parts.flatMap(([part, rows, width]) => [
    [`${prefix}${part}_proj_blocks`, [count, rows, width / 32, 16]] as const,
    [`${prefix}${part}_proj_scales`, [count, rows, width / 32]] as const,
    [`${prefix}${part}_proj_bias`, [count, rows]] as const,
  ]);
  return quantization_config ? Object.fromEntries(entries) : {};
}

function layerShapes({ config }: CheckpointModel, layer: number): Shapes {
  const { model_type: kind, hidden_size: hidden, intermediate_size: inner } = config;
  const size = config.head_dim || Math.floor(hidden / config.num_attention_heads);
  const [queries, keys] = [config.num_attention_heads * size, config.num_key_value_heads * size];
  const packed = kind === 'phi3';
  const [head, width] = [['qwen3', 'qwen3_moe', 'gemma3_text'].includes(kind), kind === 'olmo2'];
  const around = kind === 'gemma2' || kind === 'gemma3_text';
  return {
    ...(packed
      ? { 'self_attn.qkv_proj': [queries + 2 * keys, hidden] }
      : {
          'self_attn.q_proj': [queries, hidden],
          'self_attn.k_proj': [keys, hidden],
          'self_attn.v_proj': [keys, hidden],
        }),
    ...(head || width ? { 'self_attn.q_norm': [head ? size : queries], 'self_attn.k_norm': [head ? size : keys] } : {}),
    'self_attn.o_proj': [hidden, queries],
    ...(expertShapes(config, layer) ?? {
      ...(packed
        ? { 'mlp.gate_up_proj': [2 * inner, hidden] }
        : { 'mlp.gate_proj': [inner, hidden], 'mlp.up_proj': [inner, hidden] }),
      'mlp.down_proj': [hidden, inner],
    }),
    ...(width ? {} : { input_layernorm: [hidden] }),
    post_attention_layernorm: [hidden],
    ...(around ? { pre_feedforward_layernorm: [hidden] } : {}),
    ...(around || width ? { post_feedforward_layernorm: [hidden] } : {}),
  };
}

/** Name → shape, in the order of the file. */
function shapesOf(model: CheckpointModel): Shapes {
  const { config } = model;
  const vocabulary = [config.vocab_size, config.hidden_size];
  const shapes: Shapes = { 'model.embed_tokens.weight': vocabulary };
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    for (const [part, shape] of Object.entries(layerShapes(model, layer))) {
      shapes[`model.layers.${layer}.${part}.weight`] = shape;
      if (model.biases?.includes(part.split('.').at(-1) ?? ''))
        shapes[`model.layers.${layer}.${part}.bias`] = shape.slice(0, 1);
    }
    if (config.model_type === 'gpt_oss') shapes[`model.layers.${layer}.self_attn.sinks`] = [config.num_attention_heads];
    Object.assign(shapes, joinedShapes(config, `model.layers.${layer}.mlp.experts.`));
  }
  shapes['model.norm.weight'] = [config.hidden_size];
  if (!config.tie_word_embeddings) shapes['lm_head.weight'] = vocabulary;
  return shapes;
}

/** FNV-1a of the name, begun with the seed of the model. */
function seedOf(name: string, seed: number): number {
  let value = 0x811c9dc5 ^ seed;
  for (const byte of Buffer.from(name, 'ascii')) value = Math.imul(value ^ byte, 0x01000193);
  return value;
}

/** An odd multiple of 2^-24 in (-1, 1): the last steps of MurmurHash3. */
function uniform(index: number, seed: number): number {
  let x = (Math.imul(index, 0x9e3779b1) + seed) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  x ^= x >>> 16;
  return ((x >>> 8) * 2 + 1 - 2 ** 24) * 2 ** -24;
}

function valuesOf(model: CheckpointModel, name: string, shape: readonly number[]): Float32Array {
  const [part = '', ending = ''] = name.split('.').slice(-2);
  const group = ending.endsWith('_bias')
    ? 'bias'
    : ending === 'bias' || ending === 'sinks'
      ? ending
      : shape.length === 1
        ? 'norm'
        : part;
  const gain = model.gains[group] ?? model.gains['matrix'] ?? 1;
  const centre = group === 'norm' && !model.config.model_type.startsWith('gemma') ? 1 : 0;
  const [rows = 1, columns] = shape;
  const width = columns === undefined || group === 'bias' ? gain : gain * Math.sqrt(3 / columns);
  const seed = seedOf(name, model.seed);
  const isExact = name.includes('.experts.') && columns !== undefined && group !== 'bias';
  return Float32Array.from({ length: rows * (columns ?? 1) }, (_, index) =>
    isExact ? exactStep(index, uniform(index, seed), width) : centre + width * uniform(index, seed),
  );
}

/** A whole multiple of a power of 2, in blocks of 32: 8 bits are exact. */
function exactStep(index: number, step: number, width: number): number {
  const rounded = Math.floor(step * 127 + 0.5);
  const multiple = index % 32 === 0 ? (rounded < 0 ? -127 : 127) : rounded;
  return multiple * 2 ** (Math.floor(Math.log2(width / 127)) - (Math.floor(index / 32) % 2));
}

const isBytes = (name: string): boolean => /_(?:blocks|scales)$/.test(name);

/** Bytes of blocks, or exponents of scales: 122 and 123, one more for `down_proj`. */
function mxfp4Bytes(name: string, seed: number, shape: readonly number[]): Uint8Array {
  const least = name.includes('down') ? 123 : 122;
  const steps = seedOf(name, seed);
  const count = shape.reduce((product, size) => product * size, 1);
  return Uint8Array.from({ length: count }, (_, index) => {
    const byte = Math.floor((uniform(index, steps) + 1) * 128);
    return name.endsWith('_blocks') ? byte : least + (byte & 1);
  });
}

/** The bits of the nearest float16, to even on a tie, of a float32 below 65 504. @param bits of the float32 */
function float16Bits(bits: number, value: number): number {
  const exponent = Math.max(((bits >>> 23) & 255) - 127, -14);
  const steps = Math.abs(value) / 2 ** (exponent - 10);
  const floor = Math.floor(steps);
  const rounded = steps - floor === 0.5 ? floor + (floor % 2) : Math.round(steps);
  return ((bits >>> 31) << 15) | ((exponent + 14) * 1024 + rounded);
}

function bytesOf(values: Float32Array, dtype: CheckpointModel['dtype']): Uint8Array {
  if (dtype === 'float32') return new Uint8Array(values.buffer);
  const bits = new Uint32Array(values.buffer);
  const narrow = Uint16Array.from(bits, (one, index) =>
    dtype === 'bfloat16' ? (one + 0x7fff + ((one >>> 16) & 1)) >>> 16 : float16Bits(one, values[index] as number),
  );
  return new Uint8Array(narrow.buffer);
}

/** All tensors of a model, in the order of the file. */
export const tensorsOf = (model: CheckpointModel): Tensor[] =>
  Object.entries(shapesOf(model)).map(([name, shape]) => ({
    name,
    dtype: isBytes(name) ? 'U8' : DTYPES[model.dtype],
    shape,
    data: isBytes(name) ? mxfp4Bytes(name, model.seed, shape) : bytesOf(valuesOf(model, name, shape), model.dtype),
  }));

/** The sha256 of names, types, shapes and bytes. */
export function digestOf(tensors: readonly Tensor[]): string {
  const hash = createHash('sha256');
  for (const { name, dtype, shape, data } of tensors) {
    hash.update(`${name} ${dtype} [${shape.join(', ')}]\n`);
    hash.update(data);
  }
  return hash.digest('hex');
}
