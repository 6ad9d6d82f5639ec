/**
 * The names of tensors in GGUF files, and in checkpoints of transformers. Source of the names: constants.py
 * and tensor_mapping.py of gguf-py in llama.cpp. Pure.
 */
import type { StoredMatrix } from '../../../../protocol/decoder/decoder-spec.ts';
import { type Problems, quoted, shown } from '../../families/unsupported.ts';
import { GGUF_LIMITS } from '../header-bytes.ts';

/** Names of the parts of a layer: in a GGUF file → in transformers. */
export type LayerParts = Readonly<Record<string, string>>;

const OUTSIDE: LayerParts = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};
export const EMBEDDING = 'token_embd.weight';
export const HEAD = 'output.weight';

const ATTENTION: LayerParts = {
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
};
const MLP: LayerParts = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' };
const NORMS_BEFORE: LayerParts = { attn_norm: 'input_layernorm', ffn_norm: 'post_attention_layernorm' };
const QUERY_KEY_NORMS: LayerParts = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' };

export const LLAMA_PARTS: LayerParts = { ...ATTENTION, ...MLP, ...NORMS_BEFORE };
export const QWEN3_PARTS: LayerParts = { ...LLAMA_PARTS, ...QUERY_KEY_NORMS };
export const PHI3_PARTS: LayerParts = {
  attn_qkv: 'self_attn.qkv_proj',
  attn_output: 'self_attn.o_proj',
  ffn_up: 'mlp.gate_up_proj',
  ffn_down: 'mlp.down_proj',
  ...NORMS_BEFORE,
};
export const GEMMA2_PARTS: LayerParts = {
  ...ATTENTION,
  ...MLP,
  attn_norm: 'input_layernorm',
  post_attention_norm: 'post_attention_layernorm',
  ffn_norm: 'pre_feedforward_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
};
export const GEMMA3_PARTS: LayerParts = { ...GEMMA2_PARTS, ...QUERY_KEY_NORMS };
export const OLMO2_PARTS: LayerParts = {
  ...ATTENTION,
  ...MLP,
  ...QUERY_KEY_NORMS,
  post_attention_norm: 'post_attention_layernorm',
  post_ffw_norm: 'post_feedforward_layernorm',
};

/** A star stands for the number of an expert. */
const EXPERTS: LayerParts = {
  ffn_gate_exps: 'mlp.experts.*.gate_proj',
  ffn_up_exps: 'mlp.experts.*.up_proj',
  ffn_down_exps: 'mlp.experts.*.down_proj',
};
export const QWEN3_MOE_PARTS: LayerParts = {
  ...ATTENTION,
  ...QUERY_KEY_NORMS,
  ...NORMS_BEFORE,
  ffn_gate_inp: 'mlp.gate',
  ...EXPERTS,
};
export const GPT_OSS_PARTS: LayerParts = {
  ...ATTENTION,
  attn_norm: 'input_layernorm',
  post_attention_norm: 'post_attention_layernorm',
  attn_sinks: 'self_attn.sinks',
  ffn_gate_inp: 'mlp.router',
  ...EXPERTS,
};

/**
 * Tensors that the decoder does not need: the values of the factors of rotary embeddings are in
 * `GgufModel.ropeFactors`, and old files have frequencies.
 */
const NOT_NEEDED = /^(?:rope_freqs\.weight|rope_factors_(?:long|short)\.weight|blk\.\d{1,4}\.attn_rot_embd(?:\.\w+)?)$/;
const IN_LAYER = /^blk\.(0|[1-9]\d{0,3})\.(\w+)\.(weight|bias)$/;
const IN_DECODER_LAYER = /^model\.layers\.(\d+)\.(.+?)(?:\.(weight|bias))?$/;
/** `self_attn.sinks` has no suffix in transformers. */
const WITHOUT_SUFFIX = 'self_attn.sinks';

/** The tensors by the names of transformers. The experts of a layer become one matrix each. */
export function tensorsOf(
  tensors: ReadonlyMap<string, StoredMatrix>,
  architecture: { readonly name: string; readonly parts: LayerParts; readonly experts: number },
  problems: Problems,
): ReadonlyMap<string, StoredMatrix> {
  const named = new Map<string, StoredMatrix>();
  for (const [name, tensor] of tensors) {
    const found = nameOf(name, architecture.parts);
    if (found?.includes('*')) addExperts(named, { name, found, tensor, experts: architecture.experts }, problems);
    else if (found !== undefined) named.set(found, tensor);
    else if (!NOT_NEEDED.test(name))
      problems.tensor(
        `has the unknown tensor ${quoted(name)}; allowed: the tensors of the architecture ${architecture.name}`,
      );
  }
  return named;
}

/** The name in transformers. */
function nameOf(name: string, parts: LayerParts): string | undefined {
  const [, layer, part = '', suffix = ''] = IN_LAYER.exec(name) ?? [];
  if (layer !== undefined && Object.hasOwn(parts, part))
    return `model.layers.${Number(layer)}.${parts[part]}${parts[part] === WITHOUT_SUFFIX ? '' : `.${suffix}`}`;
  const [outside = '', outer] = name.split(/\.(?=weight$|bias$)/);
  return outer !== undefined && Object.hasOwn(OUTSIDE, outside) ? `${OUTSIDE[outside]}.${outer}` : undefined;
}

interface Experts {
  /** In the GGUF file. */
  readonly name: string;
  /** In transformers, with a star. */
  readonly found: string;
  /** `[experts, …]`. */
  readonly tensor: StoredMatrix;
  readonly experts: number;
}

function addExperts(named: Map<string, StoredMatrix>, { name, found, tensor, experts }: Experts, problems: Problems) {
  const [count, ...shape] = tensor.shape;
  if (named.size + experts > GGUF_LIMITS.tensors) {
    problems.tensor(`has more than ${GGUF_LIMITS.tensors} matrices of experts: use another model`);
    return;
  }
  if (count !== experts) {
    problems.tensor(
      `has the tensor ${quoted(name)} with the shape ${shown(tensor.shape)}; allowed: ${experts} as its first size`,
    );
    return;
  }
  const bytes = tensor.bytes / experts;
  for (let expert = 0; expert < experts; expert++)
    named.set(found.replace('*', String(expert)), { ...tensor, offset: tensor.offset + expert * bytes, bytes, shape });
}

/** The name in a GGUF file of a tensor of transformers, for messages. */
export function nameInFile(name: string, parts: LayerParts): string {
  const [, layer, whole = '', suffix = 'weight'] = IN_DECODER_LAYER.exec(name) ?? [];
  if (layer !== undefined) {
    const general = whole.replace(/\.experts\.\d+\./, '.experts.*.');
    const found = Object.entries(parts).find(([, part]) => part === general);
    return found ? `blk.${layer}.${found[0]}.${suffix}` : name;
  }
  const outside = Object.entries(OUTSIDE).find(([, part]) => name.startsWith(`${part}.`));
  return outside ? name.replace(outside[1], outside[0]) : name;
}
