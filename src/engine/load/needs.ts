/**
 * The memory that a model needs on a device, as a function of slots and context: from its signature and the
 * sizes of its files. Pure.
 */
import { FLOAT32 } from '../../onnx/types.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import type { Device } from '../devices/device.ts';
import { MAX_DRAFT } from '../drafts/prompt-lookup.ts';
import { pageBytes } from '../host/mapped-memory.ts';
import { type CacheGrowth, pagedBytes } from '../ort/cache/growth.ts';
import { bytesOf, rowBytes, type Signature } from '../ort/signature.ts';
import { prefillChunk } from '../runner.ts';
import type { Needs } from './memory-plan.ts';

/** The device of an attempt, and the sizes that its memory plan needs. */
export interface Target {
  readonly device: Device;
  readonly weightBytes: number;
  /** As in `Needs`. */
  readonly copied?: number;
  readonly opening?: number;
  readonly growth: CacheGrowth;
  /**
   * Rows decode in steps: memory for the results, and for one more row on a device without addresses inside a
   * buffer. Default: false.
   */
  readonly together?: boolean;
}

/**
 * Logits of the steps: on the device and their copy on the host, and in float32 the two intermediate values
 * of their selection.
 */
const stepBytes = (type: number, slots: number, vocabSize: number): number =>
  2 * (bytesOf(type, [slots, vocabSize]) + bytesOf(FLOAT32, [slots, vocabSize]));

/** The inputs of a plan, except the free memory. */
export function needsOf(
  signature: Signature,
  { device, weightBytes, copied = 0, opening = 0, growth, together = false }: Target,
  options: EngineOptions,
): Omit<Needs, 'free'> {
  const chunk = chunkOf(signature, options);
  const positions = signature.logits.positions ?? (signature.keep ? MAX_DRAFT + 1 : chunk);
  const rowBytes = rowSizeOf(signature, growth);
  const { logits, vocabSize } = signature;
  const logitsBytes = (slots: number): number =>
    bytesOf(logits.type, [positions + slots, vocabSize]) + (together ? stepBytes(logits.type, slots, vocabSize) : 0);
  return {
    device: device.name,
    weights: weightBytes,
    copied,
    opening,
    rowBytes,
    growth,
    logits: (slots) => logitsBytes(slots),
    work: device.workBytes,
    ...(together && !device.rowViews && { movesRows: true }),
  };
}

/** Memory of one row, as a function of its tokens. */
function rowSizeOf(signature: Signature, growth: CacheGrowth): (tokens: number) => number {
  if (growth !== 'pages') return (tokens) => rowBytes(signature, tokens);
  const page = pageBytes();
  return (tokens) => pagedBytes(signature.caches, tokens, page);
}

/** Maximum number of prompt tokens in one run. */
export function chunkOf(
  { keep, logits, vocabSize }: Signature,
  { prefillChunk: requested, context }: EngineOptions,
): number {
  const max = requested === 'auto' ? context : requested;
  const all = !keep && logits.positions === undefined;
  return prefillChunk(all ? vocabSize * Float32Array.BYTES_PER_ELEMENT : 0, Math.min(max, context));
}
