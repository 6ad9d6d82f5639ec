/**
 * Chooses how a GPU decodes: the way that `--gpu-graph` asks for, or the next simpler one if the model or the
 * device does not allow it.
 */
import { findIgnored } from '../../../onnx/ignored-attributes.ts';
import { ignoredBy, isCpu, kindOf } from '../../../protocol/devices.ts';
import type { EngineFacts, GpuGraph } from '../../../protocol/loading.ts';
import type { GpuGraphLimit, ReasonCode } from '../../../protocol/reasons.ts';
import { shorten } from '../../../protocol/text/error-message.ts';
import type { Device } from '../../devices/device.ts';
import { isOutOfMemory, refusesCapture } from '../../ort/error-causes.ts';
import type { ModelFile } from '../../ort/model-file.ts';
import type { Signature } from '../../ort/signature.ts';
import { isModelFault, LoadError } from '../load-error.ts';

/** Reasons that a smaller cache can remove. */
const MEMORY_REASONS: readonly ReasonCode[] = ['does_not_fit', 'cache_too_small'];

/** The mode to open a model with. */
export interface GpuMode {
  readonly mode: GpuGraph;
  /** Why the mode is less than the asked one. */
  readonly limit?: GpuGraphLimit;
  /** The message of the runtime or of the check behind the limit. */
  readonly detail?: string;
}

/** A mode cannot be used. `next` is the mode to try. */
export class GpuModeRefusal extends Error {
  override readonly name = 'GpuModeRefusal';
  readonly limit: GpuGraphLimit;
  readonly next: GpuGraph;
  readonly detail: string | undefined;

  /** @param detail the message of the runtime or of the check; shortened to 300 characters */
  constructor(limit: GpuGraphLimit, next: GpuGraph, detail?: string) {
    super(limit);
    this.limit = limit;
    this.next = next;
    this.detail = detail === undefined ? undefined : shorten(detail, MAX_DETAIL);
  }
}

/** Maximum characters of a detail. */
const MAX_DETAIL = 300;

/** From the simplest mode to the fastest. */
const ORDER: readonly GpuGraph[] = ['off', 'eager', 'captured'];

/** The next simpler mode. */
export const simplerThan = (mode: GpuGraph): GpuGraph => (mode === 'captured' ? 'eager' : 'off');

/** Opens a model with the asked mode, or with simpler ones until one is not refused. */
export function withGpuMode<T>(asked: GpuGraph, device: Device, open: (mode: GpuMode) => T): T {
  let mode: GpuMode = { mode: isCpu(device.name) ? 'off' : asked };
  for (;;) {
    try {
      return open(mode);
    } catch (error) {
      const refusal = refusalOf(error, mode.mode);
      if (!refusal || ORDER.indexOf(refusal.next) >= ORDER.indexOf(mode.mode)) throw error;
      const { next, limit, detail } = refusal;
      mode = { mode: next, limit, ...(detail !== undefined && { detail }) };
    }
  }
}

/** The facts about the mode; none if no other mode than `off` was asked for. */
export function gpuModeFacts(asked: GpuGraph, device: Device, used: GpuMode): Pick<EngineFacts, 'gpuGraph'> {
  if (asked === 'off' || isCpu(device.name)) return {};
  const { limit, ...rest } = used;
  return { gpuGraph: { ...rest, ...(limit !== undefined && { reason: limit }) } };
}

interface CheckedGraph {
  readonly model: ModelFile;
  readonly declared: Signature | undefined;
  /** Each run returns a longer cache. */
  readonly appends: boolean;
}

/** @throws GpuModeRefusal for a graph that the device cannot compute in this mode */
export function checkGpuMode(mode: GpuGraph, device: Device, { model, declared, appends }: CheckedGraph): void {
  if (mode === 'off') return;
  if (appends) throw new GpuModeRefusal('growing_cache', 'off');
  if (!declared || typeof declared.lengths === 'string') throw new GpuModeRefusal('host_nodes', 'off');
  if (mode !== 'captured') return;
  if (!device.capture) throw new GpuModeRefusal('no_capture', 'eager');
  const { edited } = model;
  if (edited && findIgnored(edited.bytes, ignoredBy(kindOf(device.name), true)))
    throw new GpuModeRefusal('window', 'eager');
}

/**
 * The refusal of a mode for an error, if a simpler mode may help. Every failure of the runtime or of a driver
 * counts, except a fault of the model. A failure in the last mode, `off`, is a failure of the device.
 */
function refusalOf(error: unknown, mode: GpuGraph): GpuModeRefusal | undefined {
  if (mode === 'off') return undefined;
  if (error instanceof GpuModeRefusal) return error;
  if (error instanceof LoadError) return refusalOfReason(error.reason.code, mode);
  if (!(error instanceof Error) || isModelFault(error)) return undefined;
  // Without steps the rows share their memory and take it as they are used.
  if (isOutOfMemory(error.message)) return new GpuModeRefusal('memory', 'off', error.message);
  const limit = mode === 'captured' && refusesCapture(error.message) ? 'host_nodes' : 'fails';
  return new GpuModeRefusal(limit, simplerThan(mode), error.message);
}

function refusalOfReason(code: ReasonCode, mode: GpuGraph): GpuModeRefusal | undefined {
  if (MEMORY_REASONS.includes(code)) return new GpuModeRefusal('memory', 'off');
  return code === 'computes_wrong' ? new GpuModeRefusal('computes_wrong', simplerThan(mode)) : undefined;
}
