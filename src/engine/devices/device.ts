/**
 * The interface of a device: the obstacles known before a model is opened, the execution provider of a
 * session, the memory of the KV cache. Each kind of device implements it in a file of this folder;
 * `registry.ts` lists the kinds.
 */
import type { DeviceName } from '../../protocol/devices.ts';
import type { GpuGraph } from '../../protocol/loading.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { Pointer } from '../ffi.ts';
import { type HeldMemory, hostFreeBytes } from '../host/host-memory.ts';
import type { OrtApi } from '../ort/api.ts';

/** How a session will use the memory of a device. */
export interface MemoryUse {
  /**
   * Maximum number of bytes that the execution provider may allocate; undefined if the system does not report
   * free memory.
   */
  readonly free: number | undefined;
  /** The KV cache grows: each run returns a longer cache. */
  readonly grows: boolean;
  /** How the device decodes; default: `off`. */
  readonly gpuGraph?: GpuGraph;
  /** Options of the execution provider that replace those of the device; absent = none. */
  readonly options?: Readonly<Record<string, string>>;
}

/** How the execution provider of a device records the commands of a run and replays them. */
export interface Capture {
  /**
   * The memory from which attention reads the length of the longest row. From the host, it reads the length
   * when it records the run: the number must then hold for all replays.
   */
  readonly longestIn: 'device' | 'host';
  /**
   * True if the provider releases the memory of a recorded run that is dropped. CUDA keeps it until the
   * session is closed (source of ONNX Runtime 1.29, not tried).
   */
  readonly releases: boolean;
}

export interface Device {
  readonly name: DeviceName;
  /**
   * Returns the reason why the device cannot be used, if one is known before a model is opened.
   * @param byName the device was selected by name: a software renderer is then accepted.
   */
  readonly obstacle: (runtimeLibrary: string, byName: boolean) => Reason | undefined;
  /** Present if the execution provider can record the commands of a run and replay them. */
  readonly capture?: Capture;
  /** Adds the execution provider of the device to the options of a session. @throws OrtError. */
  readonly appendProvider: (api: OrtApi, sessionOptions: Pointer, use: MemoryUse) => void;
  /** Creates the runtime's description of the KV cache's memory (`OrtMemoryInfo`). The caller releases it. */
  readonly memoryInfo: (api: OrtApi) => Pointer;
  /** True if the KV cache is in memory of the device, false for host memory. */
  readonly ownMemory: boolean;
  /**
   * True if an address inside a buffer is valid. Then all rows are in one tensor, any rows of it can be
   * bound, and several rows run together.
   */
  readonly rowViews: boolean;
  /**
   * Measured memory of the runtime besides weights, KV cache and logits, in bytes: its state and intermediate
   * values.
   */
  readonly workBytes: number;
  /**
   * Free bytes of the memory that contains the KV cache, without the memory that `held` lists; undefined if
   * the system does not report them.
   */
  readonly freeBytes: (held?: readonly HeldMemory[]) => number | undefined;
  /**
   * Identifies that memory among all processes of this machine: `host`, or the UUID of a GPU; undefined if it
   * has no id.
   */
  readonly memoryId: () => string | undefined;
}

/** All devices of one kind on this machine. */
export interface DeviceFamily {
  /** The number of devices that the driver reports. */
  readonly count: () => number;
  /** The device with this index. If this machine lacks the device, its obstacle says so. */
  readonly at: (index: number) => Device;
}

/** The family of a kind with one device, which has no number. */
export const single = (device: Device): DeviceFamily => ({ count: () => 1, at: () => device });

const ARENA_ALLOCATOR = 1;
export const DEVICE_ALLOCATOR = 0;
export const DEFAULT_MEMORY = 0;
/** The id of the memory of the host. */
export const HOST_MEMORY_ID = 'host';
const HOST_WORK_BYTES = 64 * 2 ** 20;

/** Creates the runtime's description of memory that this process reads and writes. The caller releases it. */
export const hostMemoryInfo = (api: OrtApi): Pointer => api.createCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY);

/** The members of a device whose KV cache is in host memory. */
export const HOST_MEMORY = {
  memoryInfo: hostMemoryInfo,
  ownMemory: false,
  rowViews: true,
  workBytes: HOST_WORK_BYTES,
  freeBytes: (held?: readonly HeldMemory[]): number | undefined => hostFreeBytes(held),
  memoryId: (): string => HOST_MEMORY_ID,
};

/** Free bytes of a GPU without the memory that `held` lists. */
export const withoutHeld = (free: number | undefined, held: readonly HeldMemory[] = []): number | undefined =>
  free === undefined
    ? undefined
    : Math.max(
        0,
        held.reduce((left, { bytes }) => left - bytes, free),
      );
