/**
 * What the engine process tells of the machine it runs on, without opening a model: `doctor` asks. Both sides import it.
 */

export interface Gpu {
  readonly name: string;
  /** Bytes of the card's memory, and how many of them nobody holds; absent where NVML does not tell. */
  readonly totalBytes?: number;
  readonly freeBytes?: number;
}

/** Version of the driver and of the CUDA that it speaks at most (`13.0`), and the GPUs in the order of `cuda:0`, `cuda:1`, … */
export interface Nvidia {
  readonly driverVersion?: string;
  readonly cudaVersion?: string;
  readonly gpus: readonly Gpu[];
  /** `CUresult` with which the driver refuses to start: 803 where it does not fit its own kernel module. */
  readonly fault?: number;
}

export interface VulkanDevice {
  readonly name: string;
  /** Of the largest heap that belongs to the device. */
  readonly totalBytes: number;
  /** A renderer that computes on the CPU: SwiftShader, llvmpipe. */
  readonly software: boolean;
}

/** A device that the engine knows, and what can be seen to stand in its way before anything is opened. */
export interface ProbedDevice {
  /** `cpu`, `cuda-0`, `webgpu`, `coreml`. */
  readonly name: string;
  /** Why it cannot be used even when it is asked for by name; absent when nothing is seen. */
  readonly obstacle?: string;
  /** Why `auto` passes it over; a renderer in software is an obstacle to `auto` only. */
  readonly autoObstacle?: string;
}

export interface DeviceProbe {
  /** Of the runtime's library, as it says itself; absent when it cannot be loaded. */
  readonly runtimeVersion?: string;
  /** Why it cannot be loaded, in the words of the dynamic loader. */
  readonly runtimeProblem?: string;
  readonly koffiVersion: string;
  /** Fastest first; the CPU is the last. */
  readonly devices: readonly ProbedDevice[];
  /** Absent where there is no NVIDIA driver. */
  readonly nvidia?: Nvidia;
  /** Absent where there is no Vulkan: elsewhere than on Linux it is not asked. */
  readonly vulkan?: readonly VulkanDevice[];
}
