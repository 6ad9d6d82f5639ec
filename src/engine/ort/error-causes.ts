/** Maps messages of the runtime, its execution providers and the dynamic loader to reason codes. Pure. */
import type { Reason } from '../../protocol/reasons.ts';

/**
 * Messages about a lack of memory from C++, the runtime's arenas ("Available memory of … is smaller than
 * requested bytes of …" at their limit), CUDA, cuBLAS and WebGPU.
 */
const OUT_OF_MEMORY =
  /bad_alloc|failed to allocate|out of memory|cannot allocate|smaller than requested bytes|failed to create GPU buffer|ALLOC_FAILED|cudaErrorMemoryAllocation/i;

/** True if the message reports a lack of memory. */
export const isOutOfMemory = (message: string): boolean => OUT_OF_MEMORY.test(message);

/**
 * True if the runtime refuses to record the runs of a model: "This session cannot use the graph capture
 * feature as requested by the user". CUDA also reports "operation not permitted when stream is capturing".
 */
export const refusesCapture = (message: string): boolean => /graph capture|stream is capturing/i.test(message);

/** Patterns of messages, each with the reason that it means. The first match counts. */
const CAUSES: readonly (readonly [RegExp, (match: RegExpExecArray) => Reason])[] = [
  [
    /(lib[\w+-]+\.so[.\d]*): cannot open shared object file/,
    ([, library = '']) => ({ code: 'library_missing', library }),
  ],
  [/CUDA failure 35|driver version is insufficient/, () => ({ code: 'driver_too_old' })],
  [/CUDA failure 100|no CUDA-capable device/, () => ({ code: 'no_cuda_device' })],
  [OUT_OF_MEMORY, () => ({ code: 'out_of_memory' })],
  [/requires f16 but the device does not/, () => ({ code: 'no_half_floats' })],
  [/no (?:supported )?adapters?|RequestAdapter|Failed to get a WebGPU adapter/i, () => ({ code: 'no_adapter' })],
  [/provider .*(?:not (?:supported|enabled|found)|is not enabled)/i, () => ({ code: 'provider_not_built' })],
];

/**
 * The reason why a model could not be opened on a device; `runtime` with the message if no pattern matches.
 */
export function causeOf(message: string): Reason {
  for (const [pattern, reason] of CAUSES) {
    const match = pattern.exec(message);
    if (match) return reason(match);
  }
  return { code: 'runtime', message };
}
