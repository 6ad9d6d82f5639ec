/**
 * The memory that a model needs on the CPU with one slot, before it is opened. An estimate: the worker plans
 * with the shapes of the graph, and refuses a model that does not fit. Pure.
 */
import type { CheckpointContent } from '../../model/checkpoint/shards.ts';
import type { CacheShape } from '../../model/spec/cache-shape.ts';
import { BFLOAT16, FLOAT16, FLOAT32, UINT8 } from '../../onnx/types.ts';
import type { BlockFormat } from '../../protocol/decoder/block-formats.ts';
import { isPlain } from '../../protocol/decoder/decoder-spec.ts';

/** Sizes in bytes. */
export interface MemoryEstimate {
  readonly weights: number;
  /** The KV cache of one slot with the whole context. */
  readonly cache: number;
  /** Memory of the runtime besides weights and cache. */
  readonly work: number;
  readonly total: number;
  /** Tokens of the slot. */
  readonly context: number;
  /** Free memory of the machine, within the limits of the container. */
  readonly available: number;
  readonly fits: boolean;
  /** The longest context that fits, if a shorter one does. */
  readonly fittingContext?: number;
}

/** As the engine plans for memory of the host. */
const WORK_BYTES = 64 * 2 ** 20;
/** Bytes of a number in the cache. */
const [FULL_BYTES, HALF_BYTES] = [4, 2];
/** A suggested context is a multiple of this, and at least `LEAST_CONTEXT`. */
const CONTEXT_STEP = 256;
const LEAST_CONTEXT = 512;

/** Formats whose weights become integers of 4 bits; those of the others become integers of 8 bits. */
const FOUR_BITS: ReadonlySet<BlockFormat> = new Set(['q4_0', 'q4_1', 'q4_k', 'q3_k', 'q2_k']);
/** Bits of a weight with its scale, at most. */
const [FOUR_BIT_WEIGHT, EIGHT_BIT_WEIGHT] = [6, 10];

/** The weights that the CPU takes. */
export interface EstimatedWeights {
  readonly bytes: number;
  readonly dtype: string;
  readonly checkpoint?: Pick<CheckpointContent, 'tensors'>;
}

/**
 * With half floats in an .onnx file, the cache has half floats too. The CPU computes a checkpoint in float32:
 * its weights take 4 bytes each, which all workers of the machine share.
 */
export function estimateMemory(
  { bytes, dtype, checkpoint }: EstimatedWeights,
  { perToken, context }: CacheShape,
  available: number,
): MemoryEstimate {
  const weights = checkpoint ? widenedBytes(checkpoint) : bytes;
  const tokenBytes = perToken * (!checkpoint && dtype.includes('16') ? HALF_BYTES : FULL_BYTES);
  const cache = tokenBytes * context;
  const total = weights + cache + WORK_BYTES;
  const room = Math.floor((available - weights - WORK_BYTES) / tokenBytes / CONTEXT_STEP) * CONTEXT_STEP;
  const shorter = total > available && room >= LEAST_CONTEXT;
  return {
    ...{ weights, cache, work: WORK_BYTES, total, context, available },
    fits: total <= available,
    ...(shorter && { fittingContext: room }),
  };
}

/** Bytes of a checkpoint's floats as float32, and of its matrices in blocks as integers with scales. */
function widenedBytes({ tensors }: Pick<CheckpointContent, 'tensors'>): number {
  let bytes = 0;
  for (const tensor of tensors.values()) {
    const { bytes: stored } = tensor;
    if (!isPlain(tensor)) {
      const elements = tensor.shape.reduce((product, size) => product * size, 1);
      bytes += (elements * (FOUR_BITS.has(tensor.format) ? FOUR_BIT_WEIGHT : EIGHT_BIT_WEIGHT)) / 8;
      continue;
    }
    const { type } = tensor;
    if (type === FLOAT32) bytes += stored;
    // A part of MXFP4: 17 bytes for 32 weights.
    if (type === UINT8) bytes += (stored * 4 * EIGHT_BIT_WEIGHT) / 17;
    if (type === FLOAT16 || type === BFLOAT16) bytes += (stored / HALF_BYTES) * FULL_BYTES;
  }
  return bytes;
}
