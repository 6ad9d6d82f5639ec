/**
 * The interface of a device: the obstacles known before a model is opened, the provider of a session, the
 * memory of the cache. One file beside this one implements it for each kind; `registry.ts` lists them.
 */
import type { DeviceName } from '../../protocol/devices.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from '../ort/api.ts';
import { hostFreeBytes } from './host-memory.ts';

/** How a session will use the memory of a device. */
export interface MemoryUse {
  /** Most bytes that the provider may take; undefined if the system does not report free memory. */
  readonly free: number | undefined;
  /** Each run returns a longer cache. */
  readonly grows: boolean;
}

export interface Device {
  readonly name: DeviceName;
  /**
   * The reason why the device cannot be used, as far as it is known before a model is opened.
   * @param byName the device was selected by name: a renderer in software is then accepted.
   */
  readonly obstacle: (runtimeLibrary: string, byName: boolean) => Reason | undefined;
  readonly appendProvider: (api: OrtApi, sessionOptions: Pointer, use: MemoryUse) => void;
  /** Describes the memory of the cache to the runtime; the caller releases it. */
  readonly memoryInfo: (api: OrtApi) => Pointer;
  /** The cache is in memory of the device. */
  readonly ownMemory: boolean;
  /**
   * Addresses within the cache are valid: rows of one tensor can be bound separately, and so run together.
   */
  readonly rowViews: boolean;
  /**
   * Memory of the runtime besides weights, cache and logits, in bytes, as measured: its state and values
   * between operators.
   */
  readonly workBytes: number;
  /** Free bytes of the memory that holds the cache; undefined if the system does not report them. */
  readonly freeBytes: () => number | undefined;
}

/** All devices of one kind on this machine. */
export interface DeviceFamily {
  /** The number of devices that the driver reports. */
  readonly count: () => number;
  /** The device with this index, which may be missing on this machine: its obstacle says so. */
  readonly at: (index: number) => Device;
}

/** The family of a kind that is not numbered. */
export const single = (device: Device): DeviceFamily => ({ count: () => 1, at: () => device });

const ARENA_ALLOCATOR = 1;
export const DEVICE_ALLOCATOR = 0;
export const DEFAULT_MEMORY = 0;
const HOST_WORK_BYTES = 64 * 2 ** 20;

/** Describes memory that this process reads and writes; the caller releases it. */
export const hostMemoryInfo = (api: OrtApi): Pointer => api.createCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY);

/** The memory of a device whose cache is in memory of this process. */
export const HOST_MEMORY = {
  memoryInfo: hostMemoryInfo,
  ownMemory: false,
  rowViews: true,
  workBytes: HOST_WORK_BYTES,
  freeBytes: (): number | undefined => hostFreeBytes(),
};
