/**
 * The memory that a model needs on the CPU with one slot, before it is opened. An estimate: the worker plans
 * with the shapes of the graph, and refuses a model that does not fit. Pure.
 */
import type { CheckpointContent } from '../../model/checkpoint/shards.ts';
import type { CacheShape } from '../../model/spec/cache-shape.ts';
import { BFLOAT16, FLOAT16, FLOAT32, UINT8 } from '../../onnx/types.ts';
import { isPlain, type StoredMatrix } from '../../protocol/decoder/decoder-spec.ts';
import { EXACT_FORMS, type Form } from '../../protocol/decoder/exact-forms.ts';

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

/** A block has a scale and a sum in float32, and a minimum in float32. */
const [SCALE_BITS, MINIMUM_BITS] = [64, 32];
/** Experts in a format with minimums are rounded to 8 bits in blocks of 32. */
const ROUNDED: Form = { bits: 8, blockSize: 32 };
const EXPERT = '.experts.';
/** The table of a model and its projection to the vocabulary, by the ends of their names. */
const [TABLE, HEAD] = ['embed_tokens.weight', 'lm_head.weight'];

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

/**
 * Bytes of a checkpoint's floats as float32, and of its matrices in blocks as integers with scales. The table
 * of tied weights counts twice: a product has it in the order of the runtime.
 */
function widenedBytes({ tensors }: Pick<CheckpointContent, 'tensors'>): number {
  const isTied = ![...tensors.keys()].some((name) => name.endsWith(HEAD));
  let bytes = 0;
  for (const [name, tensor] of tensors) bytes += tensorBytes(name, tensor) * (isTied && name.endsWith(TABLE) ? 2 : 1);
  return bytes;
}

function tensorBytes(name: string, tensor: StoredMatrix): number {
  if (isPlain(tensor)) {
    const { type, bytes } = tensor;
    if (type === FLOAT32) return bytes;
    // A part of MXFP4: 17 bytes for 32 weights.
    if (type === UINT8) return (bytes * 4 * bitsOf(EXACT_FORMS.mxfp4)) / 17;
    return type === FLOAT16 || type === BFLOAT16 ? (bytes / HALF_BYTES) * FULL_BYTES : 0;
  }
  const weights = tensor.shape.reduce((product, size) => product * size, 1);
  const form = EXACT_FORMS[tensor.format];
  const isRounded = form.extra === 'minimums' && name.includes(EXPERT);
  return (weights * bitsOf(isRounded ? ROUNDED : form)) / 8;
}

/** Bits of a weight with its share of the numbers of a block. */
const bitsOf = ({ bits, blockSize, extra }: Form): number =>
  bits + (SCALE_BITS + (extra === 'minimums' ? MINIMUM_BITS : 0)) / blockSize;
