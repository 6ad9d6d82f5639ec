/** The shapes of the models of the check, and the size of its measurements. Plain data and pure functions. */

/** Fields of a Llama's config.json. */
export interface Shape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly inner: number;
  readonly vocab: number;
  readonly tied: boolean;
  readonly ropeTheta: number;
}

export const SHAPE_NAMES = ['135 M', '1 B', '8 B'] as const;
export type ShapeName = (typeof SHAPE_NAMES)[number];

/** How the weights of a model are stored: half floats, or the blocks of GGUF's Q4_0 and Q8_0. */
export const FORMATS = ['fp16', 'q4', 'q8'] as const;
export type Format = (typeof FORMATS)[number];

/** The shapes of SmolLM2-135M, Llama-3.2-1B and Llama-3.1-8B. */
const FULL: Readonly<Record<ShapeName, Shape>> = {
  '135 M': {
    ...{ layers: 30, hidden: 576, heads: 9, kvHeads: 3, headSize: 64, inner: 1536, vocab: 49_152 },
    ...{ tied: true, ropeTheta: 100_000 },
  },
  '1 B': {
    ...{ layers: 16, hidden: 2048, heads: 32, kvHeads: 8, headSize: 64, inner: 8192, vocab: 128_256 },
    ...{ tied: true, ropeTheta: 500_000 },
  },
  '8 B': {
    ...{ layers: 32, hidden: 4096, heads: 32, kvHeads: 8, headSize: 128, inner: 14_336, vocab: 128_256 },
    ...{ tied: false, ropeTheta: 500_000 },
  },
};

/** Small shapes with the same ratios of heads, which take the same paths of the engine. */
const TINY: Readonly<Record<ShapeName, Shape>> = {
  '135 M': { ...FULL['135 M'], layers: 2, hidden: 96, heads: 3, kvHeads: 1, headSize: 32, inner: 128, vocab: 512 },
  '1 B': { ...FULL['1 B'], layers: 2, hidden: 128, heads: 8, kvHeads: 2, headSize: 16, inner: 256, vocab: 512 },
  '8 B': { ...FULL['8 B'], layers: 2, hidden: 128, heads: 4, kvHeads: 1, headSize: 32, inner: 256, vocab: 512 },
};

/** Sizes of the measurements. */
export interface Scale {
  readonly name: 'full' | 'tiny' | 'software';
  readonly shapes: Readonly<Record<ShapeName, Shape>>;
  /** Rows that decode together. */
  readonly rows: readonly number[];
  /** Rounds of a figure, after one that is not counted. */
  readonly rounds: number;
  /** Tokens of a prompt before the decoded tokens, of these, and of the prompt whose prefill is measured. */
  readonly prompt: number;
  readonly decoded: number;
  readonly prefill: number;
  /** Tokens in a row of the KV cache. */
  readonly context: number;
  /** Estimated milliseconds to open and to measure a model with so many weights, before one was measured. */
  readonly estimateMs: (weights: number) => number;
  /** Only the first so many test models and random models; absent = all. */
  readonly models?: number;
}

const REHEARSED = { shapes: TINY, prompt: 16, prefill: 24, context: 64 } as const;

export const SCALES: Readonly<Record<Scale['name'], Scale>> = {
  full: {
    ...{ name: 'full', shapes: FULL, rows: [1, 4, 16, 64], rounds: 3 },
    ...{ prompt: 128, decoded: 64, prefill: 448, context: 512 },
    estimateMs: (weights) => 10_000 + weights / 400e3,
  },
  tiny: { ...REHEARSED, name: 'tiny', rows: [1, 4, 16], rounds: 3, decoded: 8, estimateMs: () => 2000, models: 3 },
  /** For a GPU in software, on which an engine opens for ten seconds. */
  software: {
    ...REHEARSED,
    ...{ name: 'software', rows: [1, 4], rounds: 1, decoded: 6, estimateMs: () => 20_000, models: 2 },
  },
};

/** config.json of a shape. */
export const configOf = (shape: Shape): Readonly<Record<string, unknown>> => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: shape.hidden,
  intermediate_size: shape.inner,
  num_hidden_layers: shape.layers,
  num_attention_heads: shape.heads,
  num_key_value_heads: shape.kvHeads,
  head_dim: shape.headSize,
  vocab_size: shape.vocab,
  tie_word_embeddings: shape.tied,
  max_position_embeddings: 8192,
  rope_theta: shape.ropeTheta,
  rms_norm_eps: 1e-5,
  hidden_act: 'silu',
  bos_token_id: 1,
  eos_token_id: 2,
});

/** The matrices of a layer by name, `[out, in]`, in the order of the file. */
export function layerMatrices(shape: Shape): Readonly<Record<string, readonly [number, number]>> {
  const { hidden, inner, heads, kvHeads, headSize } = shape;
  return {
    'self_attn.q_proj': [heads * headSize, hidden],
    'self_attn.k_proj': [kvHeads * headSize, hidden],
    'self_attn.v_proj': [kvHeads * headSize, hidden],
    'self_attn.o_proj': [hidden, heads * headSize],
    'mlp.gate_proj': [inner, hidden],
    'mlp.up_proj': [inner, hidden],
    'mlp.down_proj': [hidden, inner],
  };
}

/** Weights of the layers, and of the projection to the vocabulary. */
function matrixWeights(shape: Shape): number {
  const layer = Object.values(layerMatrices(shape)).reduce((sum, [rows, width]) => sum + rows * width, 0);
  return shape.layers * layer + shape.vocab * shape.hidden;
}

/** All weights, without the norms. */
export const weightsOf = (shape: Shape): number => matrixWeights(shape) + (shape.tied ? 0 : shape.vocab * shape.hidden);

/** The part of the weights that a decoded token reads: an embedding that is not the head is one row. */
export const readShare = (shape: Shape): number => matrixWeights(shape) / weightsOf(shape);
