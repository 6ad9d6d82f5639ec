/**
 * The memory that a model needs on a device, as a function of slots and context: from its signature and the
 * sizes of its files. Pure.
 */
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
  /** Rows decode together on a device without addresses inside a buffer: one more row, and the results. */
  readonly together?: boolean;
}

/** Logits on the host and on the device, and the two intermediate values of their selection. */
const LOGITS_OF_STEPS = 4;

/** The inputs of a plan, except the free memory. */
export function needsOf(
  signature: Signature,
  { device, weightBytes, copied = 0, opening = 0, growth, together = false }: Target,
  options: EngineOptions,
): Omit<Needs, 'free'> {
  const chunk = chunkOf(signature, options);
  const positions = signature.logits.positions ?? (signature.keep ? MAX_DRAFT + 1 : chunk);
  const rowBytes = rowSizeOf(signature, growth);
  const places = (slots: number): number => positions + (together ? LOGITS_OF_STEPS : 1) * slots;
  return {
    device: device.name,
    weights: weightBytes,
    copied,
    opening,
    rowBytes,
    growth,
    logits: (slots) => bytesOf(signature.logits.type, [places(slots), signature.vocabSize]),
    work: device.workBytes + (together && !device.rowViews ? rowBytes(options.context) : 0),
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
