/**
 * Copies tensors of fixed memory between host and GPU, outside of a run: a recorded run reads and writes the
 * same memory in each replay, and binding host memory to a run would copy it to another tensor.
 *
 * CUDA is called through its driver, because the runtime copies to CUDA only after its provider was
 * registered as a library of the environment. No GPU has run the calls to the driver.
 */
import { type DeviceName, indexOf, kindOf } from '../../../protocol/devices.ts';
import { CUDA_DRIVER } from '../../devices/nvidia-driver.ts';
import { functionsOf, type Pointer } from '../../ffi.ts';
import type { OrtApi } from '../api.ts';
import type { TensorMemory } from '../tensors.ts';

/** A tensor in memory of the host and one of the same type and shape in memory of the GPU. */
export interface TensorPair {
  readonly host: TensorMemory;
  readonly device: TensorMemory;
}

/** Copies between host and GPU. Calls are made on the thread that runs the model, between two runs. */
export interface Transfer {
  /**
   * Copies each `host` to its `device`. A later run reads the copied numbers, and the memory of the host may
   * be changed at once.
   * @throws RangeError for a pair of different sizes: nothing is copied then. Error with the message of the
   * runtime or the code of the driver: some tensors may be copied then.
   */
  readonly toDevice: (pairs: readonly TensorPair[]) => void;
  /**
   * Copies each `device` to its `host`, after all earlier runs.
   * @throws Error as `toDevice`
   */
  readonly toHost: (pairs: readonly TensorPair[]) => void;
  /** Releases the context of the driver, if the copies use one. Does not release the tensors. */
  readonly close: () => void;
}

interface TransferParts {
  readonly api: OrtApi;
  /** The environment of the session (`OrtEnv`), which outlives the transfer. */
  readonly env: Pointer;
  readonly device: DeviceName;
}

/**
 * The transfer of a device whose session is open.
 * @returns undefined if the device has none: the runtime's library is older than 1.23 (WebGPU), the driver
 * lacks a function (CUDA), or the memory of the device is that of the host
 * @throws Error with the code of the driver
 */
export function openTransfer({ api, env, device }: TransferParts): Transfer | undefined {
  const kind = kindOf(device);
  if (kind === 'webgpu') return api.offers('copyTensors') ? transferByRuntime(api, env) : undefined;
  return kind === 'cuda' ? transferByDriver(indexOf(device)) : undefined;
}

const NO_STREAM = 0n;

/** Copies with one call of the runtime. */
function transferByRuntime(api: OrtApi, env: Pointer): Transfer {
  const copy = (pairs: readonly TensorPair[], from: keyof TensorPair, to: keyof TensorPair): void => {
    if (pairs.length === 0) return; // The runtime refuses a call without tensors.
    requireEqualSizes(pairs);
    const [sources, targets] = [new BigUint64Array(pairs.length), new BigUint64Array(pairs.length)];
    for (const [index, pair] of pairs.entries()) {
      sources[index] = pair[from].value;
      targets[index] = pair[to].value;
    }
    api.copyTensors(env, sources, targets, NO_STREAM, pairs.length);
  };
  return {
    toDevice: (pairs) => copy(pairs, 'host', 'device'),
    toHost: (pairs) => copy(pairs, 'device', 'host'),
    close: () => undefined,
  };
}

const SUCCESS = 0;
/** The stream of copies without a stream of their own. */
const DEFAULT_STREAM = 0n;

/** Types of the driver's functions. A device pointer (`CUdeviceptr`) has 64 bits. */
const DRIVER_CALLS = {
  cuInit: ['int', 'uint'],
  cuDeviceGet: ['int', 'void *', 'int'],
  cuDevicePrimaryCtxRetain: ['int', 'void *', 'int'],
  cuDevicePrimaryCtxRelease_v2: ['int', 'int'],
  cuCtxGetCurrent: ['int', 'void *'],
  cuCtxSetCurrent: ['int', 'uintptr_t'],
  cuMemcpyHtoD_v2: ['int', 'uint64_t', 'uintptr_t', 'size_t'],
  cuMemcpyDtoH_v2: ['int', 'uintptr_t', 'uint64_t', 'size_t'],
  cuStreamSynchronize: ['int', 'uintptr_t'],
} as const;

/**
 * Copies with the CUDA driver, one call for each tensor. The memory belongs to the primary context of the
 * GPU, which the runtime uses too. The default stream does not wait for the stream of the runtime, so a run
 * must have ended (the runtime waits, unless `disable_synchronize_execution_providers` is set).
 * @param index index of the GPU among those of this process, as for the CUDA provider
 * @param driver path or name of the driver's library
 * @returns undefined if the driver is missing or lacks a function
 * @throws Error with the code of the driver
 */
export function transferByDriver(index: number, driver: string = CUDA_DRIVER): Transfer | undefined {
  const cuda = functionsOf(driver, DRIVER_CALLS);
  if (!cuda) return undefined;
  const check = (name: keyof typeof DRIVER_CALLS, status: number | bigint): void => {
    if (status !== SUCCESS) throw new Error(`The NVIDIA driver refused ${name} (CUDA error ${status})`);
  };
  const out = Buffer.alloc(8);
  check('cuInit', cuda.cuInit(0));
  check('cuDeviceGet', cuda.cuDeviceGet(out, index));
  const gpu = out.readInt32LE();
  check('cuDevicePrimaryCtxRetain', cuda.cuDevicePrimaryCtxRetain(out, gpu));
  const context = out.readBigUInt64LE();
  /** Another library may have changed the context of the thread since. */
  const enter = (): void => {
    check('cuCtxGetCurrent', cuda.cuCtxGetCurrent(out));
    if (out.readBigUInt64LE() !== context) check('cuCtxSetCurrent', cuda.cuCtxSetCurrent(context));
  };
  return {
    toDevice: (pairs) => {
      requireEqualSizes(pairs);
      enter();
      for (const { host, device } of pairs)
        check('cuMemcpyHtoD_v2', cuda.cuMemcpyHtoD_v2(device.pointer, host.pointer, host.bytes));
      // A copy of pageable memory may return before its last part has arrived.
      check('cuStreamSynchronize', cuda.cuStreamSynchronize(DEFAULT_STREAM));
    },
    toHost: (pairs) => {
      requireEqualSizes(pairs);
      enter();
      for (const { host, device } of pairs)
        check('cuMemcpyDtoH_v2', cuda.cuMemcpyDtoH_v2(host.pointer, device.pointer, device.bytes));
    },
    // After an error of the GPU the driver refuses each call. The session is released all the same.
    close: () => void cuda.cuDevicePrimaryCtxRelease_v2(gpu),
  };
}

/**
 * Neither the driver nor the runtime compares the sizes (1.30.0, tried): a longer copy would write past the
 * end of the other memory.
 */
function requireEqualSizes(pairs: readonly TensorPair[]): void {
  for (const { host, device } of pairs)
    if (host.bytes !== device.bytes)
      throw new RangeError(`The tensors of a copy have ${host.bytes} bytes and ${device.bytes} bytes`);
}
