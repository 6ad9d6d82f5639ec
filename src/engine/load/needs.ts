/**
 * The memory that a model needs on a device, as a function of slots and context: from its signature and the
 * sizes of its files. Pure.
 */
import type { EngineOptions } from '../../protocol/loading.ts';
import type { Device } from '../devices/device.ts';
import { MAX_DRAFT } from '../drafts/prompt-lookup.ts';
import { bytesOf, rowBytes, type Signature } from '../ort/signature.ts';
import { prefillChunk } from '../runner.ts';
import type { Needs } from './memory-plan.ts';

/** The device of an attempt, and the sizes that its memory plan needs. */
interface Target {
  readonly device: Device;
  readonly weightBytes: number;
  readonly grows: boolean;
}

/** The inputs of a plan, except the free memory. */
export function needsOf(
  signature: Signature,
  { device, weightBytes, grows }: Target,
  options: EngineOptions,
): Omit<Needs, 'free'> {
  const chunk = chunkOf(signature, options);
  const positions = signature.logits.positions ?? (signature.keep ? MAX_DRAFT + 1 : chunk);
  return {
    device: device.name,
    weights: weightBytes,
    rowBytes: (tokens) => rowBytes(signature, tokens),
    // During a run, a growing cache needs memory for the row that it reads and for the row that it writes.
    spareRows: grows ? 1 : 0,
    logits: (slots) => bytesOf(signature.logits.type, [positions + slots, signature.vocabSize]),
    work: device.workBytes,
  };
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
