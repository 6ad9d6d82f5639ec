/**
 * All that differs between devices: what can be seen to stand in the way before anything is opened, how a session gets its provider, where
 * the memory of its cache lies, and how much of it is free. A new device is a new row here.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from '../ort/api.ts';
import { hostFreeBytes } from './host-memory.ts';
import { askNvidia } from './nvidia-driver.ts';
import { askVulkan } from './vulkan.ts';

/** Why a device cannot be used, in words a person can act on. */
export interface Obstacle {
  readonly reason: string;
  /** Whether such hardware was seen: then something can be done about the reason. */
  readonly present: boolean;
}

/** How a session will use the memory of a device. */
export interface MemoryUse {
  /** Bytes that its provider may take at most; undefined where nobody knows. */
  readonly free: number | undefined;
  /** Whether each run makes a longer cache. */
  readonly grows: boolean;
}

export interface Device {
  /** `cpu`, `cuda-0`, `webgpu`, `coreml`. */
  readonly name: string;
  /**
   * What stands in the way, as far as it can be told without opening anything.
   * @param asked whether it was asked for by name: then a renderer in software will do.
   */
  readonly obstacle: (runtimeLibrary: string, asked: boolean) => Obstacle | undefined;
  readonly appendProvider: (api: OrtApi, sessionOptions: Pointer, use: MemoryUse) => void;
  /** Describes the memory of the cache to the runtime; to be released. */
  readonly memoryInfo: (api: OrtApi) => Pointer;
  /** Whether its GroupQueryAttention takes half floats only: elsewhere float32 would be computed on the host, behind the cache's back. */
  readonly halfAttention: boolean;
  /** Whether the cache lies in memory of the device's own. */
  readonly ownMemory: boolean;
  /** Whether an address within the cache is one too: rows of one tensor can be taken by themselves, and so run together. */
  readonly rowViews: boolean;
  /** What the runtime takes there beside weights, cache and logits, in bytes, by experience: its own state, and values between operators. */
  readonly workBytes: number;
  /** Bytes of the memory that the cache lies in that can be had; undefined where the system does not tell. */
  readonly freeBytes: () => number | undefined;
}

const ARENA_ALLOCATOR = 1;
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

/** Describes memory that this process reads and writes; to be released. */
export const hostMemoryInfo = (api: OrtApi): Pointer => api.createCpuMemoryInfo(ARENA_ALLOCATOR, DEFAULT_MEMORY);

const HOST_WORK_BYTES = 64 * 2 ** 20;
/** Of CUDA its context and its libraries: 700 MB with a model of 3.5 MB on an H100, where WebGPU takes 60 MB. */
const CUDA_WORK_BYTES = 768 * 2 ** 20;
const WEBGPU_WORK_BYTES = 128 * 2 ** 20;

const onHost = {
  memoryInfo: hostMemoryInfo,
  halfAttention: false,
  ownMemory: false,
  rowViews: true,
  workBytes: HOST_WORK_BYTES,
  freeBytes: (): number | undefined => hostFreeBytes(),
};

const cpu: Device = { name: 'cpu', obstacle: () => undefined, appendProvider: () => undefined, ...onHost };

/** Not run by anybody yet: no such machine was at hand. Weights and work go where Core ML puts them, the cache stays on the host. */
const coreml: Device = {
  name: 'coreml',
  obstacle: () =>
    process.platform === 'darwin' ? undefined : { reason: 'Core ML is there on macOS only', present: false },
  appendProvider: (api, options) => api.appendProvider(options, 'CoreML', ['ModelFormat'], ['MLProgram'], 1),
  ...onHost,
};

/** The runtime's name for the memory of its WebGPU provider. */
const WEBGPU_MEMORY = 'WebGPU_Buf';

const webgpu: Device = {
  name: 'webgpu',
  obstacle: (_, asked) => {
    if (process.platform !== 'linux') return undefined; // Direct3D and Metal are part of the system
    const devices = askVulkan();
    if (!devices) return { reason: 'no Vulkan (libvulkan.so.1 not found)', present: false };
    if (devices.length === 0) return { reason: 'no Vulkan device', present: false };
    const real = asked || devices.some(({ software }) => !software);
    return real ? undefined : { reason: `${devices[0]?.name} is a renderer in software`, present: false };
  },
  appendProvider: (api, options) => api.appendProvider(options, 'WebGPU', [], [], 0),
  memoryInfo: (api) => api.createMemoryInfo(WEBGPU_MEMORY, DEVICE_ALLOCATOR, 0, DEFAULT_MEMORY),
  halfAttention: false,
  ownMemory: true,
  // A buffer of WebGPU is known by a handle: there is no address within it.
  rowViews: false,
  workBytes: WEBGPU_WORK_BYTES,
  // Vulkan tells how much there is, not how much of it is free; of a card that is NVIDIA's too, NVML tells.
  freeBytes: () => {
    const name = askVulkan()?.find(({ software }) => !software)?.name;
    return askNvidia()?.gpus.find((gpu) => gpu.name === name)?.freeBytes;
  },
};

const CUDA_PROVIDER =
  process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';

/**
 * Only what is asked for is reserved, since other workers may share the card; but a cache that grows asks for a little more with every run,
 * and an arena that adds just that keeps all of it apart (4 000 tokens of a 2 MB cache: 2.1 GB, and 12 MB by powers of two). Without TF32, whose products have 10 bits: float32 models have the
 * tokens of the CPU (logits 1e-5 apart, with it 5e-3).
 */
const CUDA_OPTIONS = { do_copy_in_default_stream: '1', use_tf32: '0' };

const cuda = (index: number): Device => ({
  name: `cuda-${index}`,
  obstacle: (runtimeLibrary) => {
    const nvidia = askNvidia();
    if (!nvidia) return { reason: 'no NVIDIA driver', present: false };
    const { length } = nvidia.gpus;
    if (nvidia.fault !== undefined)
      return { reason: `the NVIDIA driver does not start (CUDA error ${nvidia.fault})`, present: true };
    if (length === 0) return { reason: 'the NVIDIA driver has no GPU for this process', present: false };
    if (index >= length) return { reason: `the highest is cuda-${length - 1}`, present: false };
    // A library that the loader finds by its name has its providers where the loader looks, too.
    const found = dirname(runtimeLibrary) === '.' || existsSync(join(dirname(runtimeLibrary), CUDA_PROVIDER));
    return found ? undefined : { reason: 'CUDA provider not installed: run npm run install:cuda', present: true };
  },
  appendProvider: (api, sessionOptions, { free, grows }) => {
    const options = api.createCudaOptions();
    try {
      const limit = free === undefined ? {} : { gpu_mem_limit: String(free) };
      const arena_extend_strategy = grows ? 'kNextPowerOfTwo' : 'kSameAsRequested';
      const entries = Object.entries({ device_id: String(index), arena_extend_strategy, ...limit, ...CUDA_OPTIONS });
      const [keys, values] = [entries.map(([key]) => key), entries.map(([, value]) => value)];
      api.updateCudaOptions(options, keys, values, entries.length);
      api.appendCudaProvider(sessionOptions, options);
    } finally {
      api.releaseCudaOptions(options);
    }
  },
  memoryInfo: (api) => api.createMemoryInfo('Cuda', DEVICE_ALLOCATOR, index, DEFAULT_MEMORY),
  halfAttention: true,
  ownMemory: true,
  rowViews: true,
  workBytes: CUDA_WORK_BYTES,
  freeBytes: () => askNvidia()?.gpus[index]?.freeBytes,
});

/** @throws Error for a device that this engine does not know. */
export function deviceNamed(name: string): Device {
  const device = [cpu, coreml, webgpu].find((one) => one.name === name);
  const [, index] = /^cuda-(\d{1,2})$/.exec(name) ?? [];
  if (device) return device;
  if (index !== undefined) return cuda(Number(index));
  throw new Error(`Unknown device ${name}: this engine knows cpu, cuda-0 to cuda-99, webgpu, coreml`);
}
