/**
 * The GGUF file of a random checkpoint with float32 tensors, as the converter of llama.cpp writes it: other names,
 * rows of q and k in pairs of neighbours, norms of Gemma with 1 added. Shares no code with the reader of these files.
 */
import { widen } from '../../../src/onnx/half-float.ts';
import { BFLOAT16, FLOAT16 } from '../../../src/onnx/types.ts';
import type { CheckpointModel } from '../checkpoints/models.ts';
import { type Tensor, tensorsOf } from '../checkpoints/tensors.ts';
import { arrayOf, type TestGguf, type TestTensor, type TestValue, typed } from './gguf-bytes.ts';

type Config = Readonly<Record<string, unknown>>;
type Keys = Record<string, TestValue>;

/** `model_type` → `general.architecture`, where they differ. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  mistral: 'llama',
  gemma3_text: 'gemma3',
  qwen3_moe: 'qwen3moe',
  gpt_oss: 'gpt-oss',
};
/** The converters that derive from that of Llama. */
const IN_NEIGHBOURS = ['llama', 'granite', 'smollm3'];
/** Architectures whose files have the name `post_attention_norm`. */
const NORM_BEHIND = ['gemma2', 'gemma3', 'olmo2', 'gpt-oss'];
const PARTS: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.qkv_proj': 'attn_qkv',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.gate_up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  'mlp.gate_exps': 'ffn_gate_exps',
  'mlp.up_exps': 'ffn_up_exps',
  'mlp.down_exps': 'ffn_down_exps',
  'mlp.gate': 'ffn_gate_inp',
  'mlp.router': 'ffn_gate_inp',
  'self_attn.sinks': 'attn_sinks',
  input_layernorm: 'attn_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};
const OUTSIDE: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

const float = (value: unknown): TestValue => typed('float32', value);
const isObject = (value: unknown): value is Config => typeof value === 'object' && value !== null;

/** The architecture, and the metadata and tensors of the file. */
export function convertedModel(model: CheckpointModel): TestGguf {
  const config = model.config as unknown as Config;
  const type = String(config['model_type']);
  const architecture = ARCHITECTURES[type] ?? type;
  const headSize = Number(config['head_dim'] ?? Number(config['hidden_size']) / Number(config['num_attention_heads']));
  const facts: Facts = { config, architecture, headSize };
  const factors = factorsOf(facts);
  const keys = Object.entries({ ...commonKeys(facts), ...ropeKeys(facts), ...ownKeys(facts) });
  return {
    metadata: {
      'general.architecture': architecture,
      'general.type': 'model',
      'general.name': 'random',
      'general.file_type': 0,
      ...Object.fromEntries(keys.map(([key, value]) => [`${architecture}.${key}`, value])),
    },
    tensors: {
      ...Object.fromEntries(stacked(tensorsOf(model)).map((tensor) => converted(tensor, facts))),
      ...Object.fromEntries(Object.entries(factors).map(([name, values]) => [name, floats([values.length], values)])),
    },
  };
}

interface Facts {
  readonly config: Config;
  readonly architecture: string;
  readonly headSize: number;
}

const floats = (shape: readonly number[], values: readonly number[] | Float32Array): TestTensor => ({
  shape,
  data: new Uint8Array(Float32Array.from(values).buffer),
});

function commonKeys({ config, headSize }: Facts): Keys {
  return {
    block_count: Number(config['num_hidden_layers']),
    context_length: Number(config['max_position_embeddings']),
    embedding_length: Number(config['hidden_size']),
    feed_forward_length: Number(config['intermediate_size']),
    'attention.head_count': Number(config['num_attention_heads']),
    'attention.head_count_kv': Number(config['num_key_value_heads']),
    'attention.layer_norm_rms_epsilon': float(config['rms_norm_eps']),
    ...(config['head_dim'] ? { 'attention.key_length': headSize, 'attention.value_length': headSize } : {}),
    vocab_size: Number(config['vocab_size']),
  };
}

/** The object with the scaling, and the base. */
function ropeOf({ config }: Facts): { readonly rope: Config; readonly base: number } {
  const given = config['rope_parameters'] ?? config['rope_scaling'];
  const object = isObject(given) ? given : {};
  const full = object['full_attention'];
  const rope = isObject(full) ? full : object;
  return { rope, base: Number(rope['rope_theta'] ?? config['rope_theta']) };
}

function ropeKeys(facts: Facts): Keys {
  const { config, architecture, headSize } = facts;
  const { rope, base } = ropeOf(facts);
  const keys: Keys = {
    'rope.freq_base': float(base),
    'rope.dimension_count': Math.trunc(headSize * Number(config['partial_rotary_factor'] ?? 1)),
  };
  const type = rope['rope_type'] ?? rope['type'];
  if (type === 'linear')
    return { ...keys, 'rope.scaling.type': 'linear', 'rope.scaling.factor': float(rope['factor']) };
  const optional = (key: string, value: unknown): Keys => (value === undefined ? {} : { [key]: float(value) });
  if (type === 'yarn')
    return {
      ...keys,
      'rope.scaling.type': 'yarn',
      'rope.scaling.factor': float(rope['factor']),
      'rope.scaling.original_context_length': Number(rope['original_max_position_embeddings']),
      ...optional('rope.scaling.yarn_attn_factor', rope['attention_factor']),
      ...optional('rope.scaling.yarn_beta_fast', rope['beta_fast']),
      ...optional('rope.scaling.yarn_beta_slow', rope['beta_slow']),
    };
  if (architecture !== 'phi3') return keys;
  const original = Number(config['original_max_position_embeddings']);
  const ratio = Number(config['max_position_embeddings']) / original;
  const attention = Math.sqrt(1 + Math.log(ratio) / Math.log(original));
  return {
    ...keys,
    'rope.scaling.original_context_length': original,
    ...(type === 'longrope' && { 'rope.scaling.attn_factor': float(attention) }),
  };
}

function ownKeys(facts: Facts): Keys {
  const { config, architecture } = facts;
  if (architecture === 'granite')
    return {
      logit_scale: float(config['logits_scaling']),
      'attention.scale': float(config['attention_multiplier']),
      embedding_scale: float(config['embedding_multiplier']),
      residual_scale: float(config['residual_multiplier']),
    };
  if (architecture === 'gemma2')
    return {
      attn_logit_softcapping: float(config['attn_logit_softcapping']),
      final_logit_softcapping: float(config['final_logit_softcapping']),
      'attention.sliding_window': Number(config['sliding_window']),
    };
  if (architecture === 'gemma3') return gemma3Keys(facts);
  const experts = config['num_experts'] ?? config['num_local_experts'];
  if (experts !== undefined)
    return {
      expert_count: Number(experts),
      expert_used_count: Number(config['num_experts_per_tok']),
      expert_feed_forward_length: Number(config['moe_intermediate_size'] ?? config['intermediate_size']),
      ...(architecture === 'gpt-oss' && { 'attention.sliding_window': Number(config['sliding_window']) }),
    };
  const window = config['sliding_window'];
  return typeof window === 'number' && !architecture.startsWith('qwen') ? { 'attention.sliding_window': window } : {};
}

function gemma3Keys({ config }: Facts): Keys {
  const { layer_types: types, rope_parameters: rope, sliding_window_pattern: pattern } = config;
  const sliding = isObject(rope) ? rope['sliding_attention'] : undefined;
  const windowed = Array.isArray(types) ? types.map((one) => one === 'sliding_attention') : undefined;
  return {
    'attention.sliding_window': Number(config['sliding_window']),
    'attention.sliding_window_pattern': windowed ? arrayOf('bool', windowed) : Number(pattern),
    ...(isObject(sliding) && { 'rope.freq_base_swa': float(sliding['rope_theta']) }),
  };
}

/** The tensors of the factors of rotary embeddings. */
function factorsOf(facts: Facts): Record<string, readonly number[]> {
  const { rope, base } = ropeOf(facts);
  const type = rope['rope_type'] ?? rope['type'];
  if (type === 'longrope')
    return {
      'rope_factors_long.weight': rope['long_factor'] as readonly number[],
      'rope_factors_short.weight': rope['short_factor'] as readonly number[],
    };
  if (type !== 'llama3') return {};
  const [low, high] = [Number(rope['low_freq_factor']), Number(rope['high_freq_factor'])];
  const [factor, original] = [Number(rope['factor']), Number(rope['original_max_position_embeddings'])];
  const divisors = Array.from({ length: facts.headSize / 2 }, (_, pair) => {
    const length = 2 * Math.PI * base ** ((2 * pair) / facts.headSize);
    if (length < original / high) return 1;
    if (length > original / low) return factor;
    const smooth = (original / length - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
  return { 'rope_freqs.weight': divisors };
}

const EXPERT = /^(.*\.mlp)\.experts\.(\d+)\.(gate|up|down)_proj\.(weight|bias)$/;

/** One tensor for all experts of a layer: `…mlp.gate_exps.weight`, `[experts, …]`. */
function stacked(tensors: readonly Tensor[]): Tensor[] {
  const whole = new Map<string, Tensor>();
  for (const tensor of tensors) {
    const [, prefix, , part, suffix] = EXPERT.exec(tensor.name) ?? [];
    const name = part === undefined ? tensor.name : `${prefix}.${part}_exps.${suffix}`;
    const before = whole.get(name);
    const data = Uint8Array.from(Buffer.concat([before?.data ?? new Uint8Array(), tensor.data]));
    const shape = part === undefined ? tensor.shape : [(before?.shape[0] ?? 0) + 1, ...tensor.shape];
    whole.set(name, { ...tensor, name, shape, data });
  }
  return [...whole.values()];
}

function converted(tensor: Tensor, { config, architecture, headSize }: Facts): readonly [string, TestTensor] {
  const values = valuesOf(tensor);
  const [, layer, part = '', suffix] =
    /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(tensor.name.replace(/sinks$/, 'sinks.weight')) ?? [];
  const isGemma = String(config['model_type']).startsWith('gemma');
  const shifted = isGemma && tensor.name.endsWith('norm.weight') ? values.map((value) => value + 1) : values;
  if (layer === undefined) return [OUTSIDE[tensor.name] ?? tensor.name, floats(tensor.shape, shifted)];
  const isQueryOrKey = /[qk]_proj$/.test(part);
  const ordered =
    IN_NEIGHBOURS.includes(architecture) && isQueryOrKey ? inNeighbours(shifted, tensor, headSize) : shifted;
  return [`blk.${layer}.${partOf(part, architecture)}.${suffix}`, floats(tensor.shape, ordered)];
}

function partOf(part: string, architecture: string): string {
  if (part !== 'post_attention_layernorm') return PARTS[part] ?? part;
  return NORM_BEHIND.includes(architecture) ? 'post_attention_norm' : 'ffn_norm';
}

/** Row i of the first half of a head, then row i of the second half: `LlamaModel.permute`. */
function inNeighbours(values: Float32Array, { shape }: Tensor, headSize: number): Float32Array {
  const [rows = 1, width = 1] = shape;
  const half = headSize / 2;
  const ordered = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const within = row % headSize;
    const from = row - within + (within % 2) * half + Math.trunc(within / 2);
    ordered.set(values.subarray(from * width, (from + 1) * width), row * width);
  }
  return ordered;
}

function valuesOf({ dtype, data }: Tensor): Float32Array {
  if (dtype === 'F32') return new Float32Array(data.slice().buffer);
  const bits = new Uint16Array(data.slice().buffer);
  const values = new Float32Array(bits.length);
  widen(dtype === 'F16' ? FLOAT16 : BFLOAT16, bits, values, { start: 0, end: bits.length });
  return values;
}
