/**
 * The description of a decoder that a checkpoint contains: the computation of each layer, and the place of
 * each weight in the files of the checkpoint. States the mathematics and never the operators: the graph
 * builder chooses these for the device. Plain data.
 */

/** The bytes of one tensor in a file. The elements are little-endian, in row-major order, without gaps. */
export interface TensorPlace {
  /** Index of the file in `Candidate.weightFiles`. */
  readonly file: number;
  /** Position of the first byte in the file. */
  readonly offset: number;
  readonly bytes: number;
  /** An element type of `onnx/types.ts`: float32, float16 or bfloat16. */
  readonly type: number;
  /** A matrix is `[out, in]`, as checkpoints store it. */
  readonly shape: readonly number[];
}

/** `x × weightᵀ + bias`. */
export interface LinearSpec {
  /** `[out, in]`. */
  readonly weight: TensorPlace;
  /** `[out]`. */
  readonly bias?: TensorPlace;
}

/** Root mean square norm: `x / √(mean(x²) + epsilon) × (weight + offset)`. */
export interface NormSpec {
  readonly weight: TensorPlace;
  readonly epsilon: number;
  /** 1 in the families of Gemma, which store the difference from 1; else 0. */
  readonly offset: 0 | 1;
}

/** A rotary embedding. Half-split: the pairs are elements i and i + n of the first 2n elements of a head. */
export interface RotarySpec {
  /** n angles per position in radians, one for each pair; 2n is at most the head size. */
  readonly frequencies: readonly number[];
  /** Factor of cosines and sines; 1 except for yarn and longrope. */
  readonly magnitude: number;
}

export interface AttentionSpec {
  readonly q: LinearSpec;
  readonly k: LinearSpec;
  readonly v: LinearSpec;
  readonly output: LinearSpec;
  readonly heads: number;
  /** A divisor of `heads`. */
  readonly kvHeads: number;
  readonly headSize: number;
  /** Factor of the products of queries and keys. */
  readonly scale: number;
  /** Index in `DecoderSpec.rotaries`; absent = no positions in this layer. */
  readonly rotary?: number;
  /** A token reads the tokens at most `window - 1` positions before it; absent = all. */
  readonly window?: number;
  /** `softcap × tanh(score / softcap)` before the softmax; absent = none. */
  readonly softcap?: number;
  /** Norms of queries and keys before the rotary embedding; present in pairs. */
  readonly qNorm?: NormSpec;
  readonly kNorm?: NormSpec;
  /**
   * `head`: each head alone, weight `[headSize]`. `width`: all heads together, weight `[heads × headSize]`.
   */
  readonly normOver?: 'head' | 'width';
}

/** `down(activation(gate(x)) × up(x))`. */
export interface MlpSpec {
  readonly gate: LinearSpec;
  readonly up: LinearSpec;
  readonly down: LinearSpec;
  /** `gelu_tanh` is the approximation by tanh. */
  readonly activation: 'silu' | 'gelu_tanh';
}

/**
 * One layer: `x += residualScale × outNorm(block(inNorm(x)))`, for attention and then for the MLP. An absent
 * norm is the identity.
 */
export interface LayerSpec {
  readonly attention: AttentionSpec;
  readonly attentionInNorm?: NormSpec;
  readonly attentionOutNorm?: NormSpec;
  readonly mlp: MlpSpec;
  readonly mlpInNorm?: NormSpec;
  readonly mlpOutNorm?: NormSpec;
  /** 1 except for Granite. */
  readonly residualScale: number;
}

export interface DecoderSpec {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** `[vocabSize, hiddenSize]`. */
  readonly embedding: TensorPlace;
  /** Factor of the embeddings; √hiddenSize for Gemma. */
  readonly embeddingScale: number;
  readonly rotaries: readonly RotarySpec[];
  readonly layers: readonly LayerSpec[];
  readonly finalNorm: NormSpec;
  /**
   * The projection to the vocabulary, `[vocabSize, hiddenSize]`. A model with tied weights has the place of
   * the embedding here.
   */
  readonly head: LinearSpec;
  /** Factor of the logits; 1 / `logits_scaling` for Granite. */
  readonly logitScale: number;
  /** `softcap × tanh(logits / softcap)`; absent = none. */
  readonly logitSoftcap?: number;
}
