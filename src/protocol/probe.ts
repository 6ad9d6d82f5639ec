/** The engine's report on this machine's devices, made for `doctor` without opening a model. Types only. */
import type { DeviceName } from './devices.ts';
import type { Reason } from './reasons.ts';
import type { ThreadCount } from './threads.ts';

export interface Gpu {
  readonly name: string;
  /** As 8-4-4-4-12 hexadecimal digits; absent if the driver does not report it. */
  readonly uuid?: string;
  /** Total and free memory of the GPU in bytes; absent if NVML does not report them. */
  readonly totalBytes?: number;
  readonly freeBytes?: number;
}

/** The NVIDIA driver and its GPUs. */
export interface Nvidia {
  readonly driverVersion?: string;
  /** The highest version of CUDA that the driver supports, such as `13.0`. */
  readonly cudaVersion?: string;
  /** In the order of `cuda:0`, `cuda:1`, … */
  readonly gpus: readonly Gpu[];
  /** The `CUresult` of a driver that does not start, such as 803 if it does not match its kernel module. */
  readonly fault?: number;
}

export interface VulkanDevice {
  readonly name: string;
  /** Size of the largest heap of device memory in bytes. */
  readonly totalBytes: number;
  /** A renderer that computes on the CPU, such as SwiftShader or llvmpipe. */
  readonly software: boolean;
}

/** A device that the engine supports, and the obstacles that are known before a model is opened. */
export interface ProbedDevice {
  readonly name: DeviceName;
  /** Why the device cannot be used even if it is selected by name; absent if no obstacle is known. */
  readonly obstacle?: Reason;
  /** Why `auto` skips the device. A software renderer is an obstacle for `auto` only. */
  readonly autoObstacle?: Reason;
}

export interface DeviceProbe {
  /** The version of the runtime's library; absent if the library cannot be loaded. */
  readonly runtimeVersion?: string;
  /** Why the library cannot be loaded: the message of the dynamic loader. */
  readonly runtimeProblem?: string;
  readonly koffiVersion: string;
  /** Threads of `--threads auto` for a model that is not small. */
  readonly threads: ThreadCount;
  /** Fastest first; the CPU is the last. */
  readonly devices: readonly ProbedDevice[];
  /** Absent without an NVIDIA driver. */
  readonly nvidia?: Nvidia;
  /** Absent without Vulkan, and on all systems except Linux. */
  readonly vulkan?: readonly VulkanDevice[];
}
