/** Makes the steps of a session, if the device and the model allow them. */
import type { GpuGraph } from '../../../protocol/loading.ts';
import { type Device, hostMemoryInfo } from '../../devices/device.ts';
import type { Pointer } from '../../ffi.ts';
import type { FixedCache } from '../cache/memory.ts';
import type { Signature } from '../signature.ts';
import { DecodeSteps, type StepParts } from './decode-steps.ts';
import { openTransfer } from './transfer.ts';

interface OpenParts extends Omit<StepParts, 'hostInfo' | 'cache' | 'transfer' | 'capture' | 'signature'> {
  readonly env: Pointer;
  readonly device: Device;
  readonly mode: GpuGraph;
  readonly signature: Signature;
  /** Absent if the tensors of the cache do not keep their addresses. */
  readonly cache: FixedCache | undefined;
}

/**
 * Allocates the tensors of the steps.
 * @returns undefined if the mode is `off`, if the graph takes a mask, or if host and device cannot exchange
 * tensors outside of a run
 * @throws OrtError if the memory is not available; Error with the code of the driver
 */
export function openSteps({ env, device, mode, signature, cache, ...parts }: OpenParts): DecodeSteps | undefined {
  const { api, tensors } = parts;
  const { lengths } = signature;
  if (mode === 'off' || !cache || typeof lengths === 'string') return undefined;
  const transfer = openTransfer({ api, env, device: device.name });
  if (!transfer) return undefined;
  const { capture } = device;
  try {
    return new DecodeSteps({
      ...parts,
      hostInfo: tensors.own(hostMemoryInfo(api), api.releaseMemoryInfo),
      signature: { ...signature, lengths },
      cache,
      transfer,
      ...(mode === 'captured' && capture && { capture }),
    });
  } catch (error) {
    transfer.close();
    throw error;
  }
}
