/**
 * The description of a decoder that a checkpoint contains: the computation of each layer, and the place of
 * each weight in the files of the checkpoint. States the mathematics and never the operators: the graph
 * builder chooses these for the device. Plain data.
 *
 * `M` is the form of the matrices: as the files of the checkpoint store them (`StoredMatrix`), or as a graph
 * reads them (`GraphMatrix`). The engine converts the forms that no graph reads before it builds the graph.
 */
import type { BlockFormat } from './block-formats.ts';

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

/** A matrix of a GGUF file, whose values are in blocks along the last dimension. No graph reads it. */
export interface BlockTensor {
  /** Index of the file in `Candidate.weightFiles`. */
  readonly file: number;
  /** Position of the first byte in the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly format: BlockFormat;
  /** `[out, in]`. */
  readonly shape: readonly number[];
}

/**
 * A matrix of MXFP4 whose scales are a tensor of their own, as the authors of gpt-oss publish it. No graph
 * reads it. A block of 32 values has 16 bytes; the first of two values in a byte is in its low 4 bits.
 */
export interface SplitBlocks extends BlockTensor {
  readonly format: 'mxfp4';
  /** Bytes of blocks and scales together. */
  readonly bytes: number;
  /** Position of the first scale: one byte for each block, the exponent of E8M0. */
  readonly scales: { readonly file: number; readonly offset: number };
}

/** True for blocks without their scales. */
export const isSplit = (matrix: StoredMatrix): matrix is SplitBlocks => 'scales' in matrix;

/**
 * A matrix `[out, in]` of integers in blocks along `in`, as MatMulNBits and GatherBlockQuantized read it. A
 * weight is `scale × (value - zero) - minimum`, where `zero` is 8 for 4 bits and 128 for 8 bits.
 */
export interface QuantizedMatrix {
  readonly shape: readonly number[];
  readonly bits: 4 | 8;
  /** Weights in a block: 16, 32, 64, 128 or 256. Divides `in`. */
  readonly blockSize: number;
  /**
   * uint8 `[out, in / blockSize, blockSize × bits / 8]`. The first of two weights in a byte is in its low 4
   * bits.
   */
  readonly values: TensorPlace;
  /** float32 `[out, in / blockSize]`. */
  readonly scales: TensorPlace;
  /** uint8 `[out, in / blockSize]`, only for 8 bits: replaces `zero`. */
  readonly zeroPoints?: TensorPlace;
  /** float32 `[out, in / blockSize]`; absent = 0. */
  readonly minimums?: TensorPlace;
}

/** The forms of a matrix in the files of a checkpoint. */
export type StoredMatrix = TensorPlace | BlockTensor;
/** The forms of a matrix that a graph reads. */
export type GraphMatrix = TensorPlace | QuantizedMatrix;
type AnyMatrix = StoredMatrix | GraphMatrix;

/** True for plain elements, which need no conversion. */
export const isPlain = (matrix: AnyMatrix): matrix is TensorPlace => 'type' in matrix;

/** `x × weightᵀ + bias`. */
export interface LinearSpec<M extends AnyMatrix = StoredMatrix> {
  /** `[out, in]`. */
  readonly weight: M;
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

/** A rotary embedding of the first 2n elements of a head. */
export interface RotarySpec {
  /** n angles per position in radians, one for each pair; 2n is at most the head size. */
  readonly frequencies: readonly number[];
  /** Factor of cosines and sines; 1 except for yarn and longrope. */
  readonly magnitude: number;
  /** Present: the pairs are elements 2i and 2i + 1, as GGUF files of Llama have them; absent: i and i + n. */
  readonly interleaved?: true;
}

export interface AttentionSpec<M extends AnyMatrix = StoredMatrix> {
  readonly q: LinearSpec<M>;
  readonly k: LinearSpec<M>;
  readonly v: LinearSpec<M>;
  readonly output: LinearSpec<M>;
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
  /**
   * `[heads]`: a score of each head that takes part in the softmax and has no value (gpt-oss); absent = none.
   */
  readonly sinks?: TensorPlace;
}

/** `down(activation(gate(x)) × up(x))`. */
export interface MlpSpec<M extends AnyMatrix = StoredMatrix> {
  readonly gate: LinearSpec<M>;
  readonly up: LinearSpec<M>;
  readonly down: LinearSpec<M>;
  /** `gelu_tanh` is the approximation by tanh. */
  readonly activation: 'silu' | 'gelu_tanh';
}

/**
 * A mixture of experts: the router chooses `chosen` experts for each token, and the results of their MLPs
 * are added with weights.
 */
export interface ExpertsSpec<M extends AnyMatrix = StoredMatrix> {
  /** `[experts, hidden]`. */
  readonly router: LinearSpec<M>;
  /** Number of experts for each token. */
  readonly chosen: number;
  /**
   * `all`: softmax over all experts; the weights of the chosen ones are divided by their sum if `normalizes`
   * is true (Qwen3-MoE). `chosen`: softmax over the chosen experts only (gpt-oss).
   */
  readonly softmaxOver: 'all' | 'chosen';
  readonly normalizes: boolean;
  /** As the files store them, or as a graph reads them. */
  readonly experts: readonly ExpertSpec<M>[] | PackedExperts | JoinedExperts;
  readonly activation: ExpertActivation;
}

export interface ExpertSpec<M extends AnyMatrix = StoredMatrix> {
  readonly gate: LinearSpec<M>;
  readonly up: LinearSpec<M>;
  readonly down: LinearSpec<M>;
}

/**
 * The experts of a layer as QMoE reads them: one matrix with the rows of all experts, one expert after the
 * other. Both matrices have the same number of bits and the same block size, and no minimums.
 */
export interface PackedExperts {
  /** Number of experts. */
  readonly count: number;
  /** `[count × 2 × inner, hidden]`: the rows of an expert are gate 0, up 0, gate 1, up 1, … */
  readonly gateUp: QuantizedMatrix;
  /** `[count × hidden, inner]`. */
  readonly down: QuantizedMatrix;
  readonly biases?: ExpertBiases | JoinedBiases;
}

/** The biases of each expert as the files store them, `[inner]`, `[inner]` and `[hidden]`. */
export interface ExpertBiases {
  readonly gate: readonly TensorPlace[];
  readonly up: readonly TensorPlace[];
  readonly down: readonly TensorPlace[];
}

/** The biases of all experts: `[count, 2 × inner]` with gate and up in turn, and `[count, hidden]`. */
export interface JoinedBiases {
  readonly gateUp: TensorPlace;
  readonly down: TensorPlace;
}

/**
 * The experts of a layer in files that have the rows of gate and up in turn. The shapes are those of
 * `PackedExperts`.
 */
export interface JoinedExperts {
  readonly count: number;
  readonly gateUp: SplitBlocks;
  readonly down: SplitBlocks;
  readonly biases: JoinedBiases;
}

/** True for experts in the form that a graph reads. */
export const isPacked = <M extends AnyMatrix>(experts: ExpertsSpec<M>['experts']): experts is PackedExperts =>
  'gateUp' in experts && 'values' in experts.gateUp;

/** True for experts that their file has joined. */
export const isJoined = <M extends AnyMatrix>(experts: ExpertsSpec<M>['experts']): experts is JoinedExperts =>
  'gateUp' in experts && 'format' in experts.gateUp;

/**
 * `silu`: `silu(gate) × up`. `clamped_swiglu` (gpt-oss): `g × sigmoid(alpha × g) × (u + 1)` with g =
 * min(gate, limit) and u = max(-limit, min(up, limit)).
 */
export type ExpertActivation =
  | { readonly kind: 'silu' }
  | { readonly kind: 'clamped_swiglu'; readonly alpha: number; readonly limit: number };

/**
 * One layer: `x += residualScale × outNorm(block(inNorm(x)))`, for attention and then for the MLP. An absent
 * norm is the identity.
 */
export interface LayerSpec<M extends AnyMatrix = StoredMatrix> {
  readonly attention: AttentionSpec<M>;
  readonly attentionInNorm?: NormSpec;
  readonly attentionOutNorm?: NormSpec;
  readonly mlp: MlpSpec<M> | ExpertsSpec<M>;
  readonly mlpInNorm?: NormSpec;
  readonly mlpOutNorm?: NormSpec;
  /** 1 except for Granite. */
  readonly residualScale: number;
}

/** True for a mixture of experts. */
export const hasExperts = <M extends AnyMatrix>(mlp: MlpSpec<M> | ExpertsSpec<M>): mlp is ExpertsSpec<M> =>
  'router' in mlp;

export interface DecoderSpec<M extends AnyMatrix = StoredMatrix> {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** `[vocabSize, hiddenSize]`. */
  readonly embedding: M;
  /** Factor of the embeddings; √hiddenSize for Gemma. */
  readonly embeddingScale: number;
  readonly rotaries: readonly RotarySpec[];
  readonly layers: readonly LayerSpec<M>[];
  readonly finalNorm: NormSpec;
  /**
   * The projection to the vocabulary, `[vocabSize, hiddenSize]`. A model with tied weights has the place of
   * the embedding here.
   */
  readonly head: LinearSpec<M>;
  /** Factor of the logits; 1 / `logits_scaling` for Granite. */
  readonly logitScale: number;
  /** `softcap × tanh(logits / softcap)`; absent = none. */
  readonly logitSoftcap?: number;
}
