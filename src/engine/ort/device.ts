/**
 * All that differs between devices: what can be seen to stand in the way before anything is opened, how a session gets its provider, where
 * the memory of its cache lies, and how much of it is free. A new device is a new row here.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { askNvidia } from '../gpu/nvidia.ts';
import { askVulkan } from '../gpu/vulkan.ts';
import type { Pointer } from '../native.ts';
import type { OrtApi } from './api.ts';

/** Why a device cannot be used, in words a person can act on. */
export interface Obstacle {
  readonly reason: string;
  /** Whether such hardware was seen: then something can be done about the reason. */
  readonly present: boolean;
}

export interface Device {
  /** `cpu`, `cuda-0`, `webgpu`, `coreml`. */
  readonly name: string;
  /**
   * What stands in the way, as far as it can be told without opening anything.
   * @param asked whether it was asked for by name: then a renderer in software will do.
   */
  readonly obstacle: (runtimeLibrary: string, asked: boolean) => Obstacle | undefined;
  /** @param free bytes that the provider may take at most; undefined where nobody knows. */
  readonly appendProvider: (api: OrtApi, sessionOptions: Pointer, free: number | undefined) => void;
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
  /** Bytes of the memory that the cache lies in that nobody holds; undefined where the system does not tell. */
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
  freeBytes: (): number => process.availableMemory(),
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
  freeBytes: () => {
    const gpu = askNvidia()?.gpus[0]?.freeBytes;
    const real = askVulkan()?.find(({ software }) => !software)?.totalBytes;
    return gpu ?? real;
  },
};

const CUDA_PROVIDER =
  process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';

/**
 * Only what is asked for is reserved: other workers may share the card. Without TF32, whose products have 10 bits: float32 models have the
 * tokens of the CPU (logits 1e-5 apart, with it 5e-3).
 */
const CUDA_OPTIONS = { arena_extend_strategy: 'kSameAsRequested', do_copy_in_default_stream: '1', use_tf32: '0' };

const cuda = (index: number): Device => ({
  name: `cuda-${index}`,
  obstacle: (runtimeLibrary) => {
    const nvidia = askNvidia();
    if (!nvidia) return { reason: 'no NVIDIA driver', present: false };
    const { length } = nvidia.gpus;
    if (length === 0) return { reason: 'the NVIDIA driver has no GPU for this process', present: false };
    if (index >= length) return { reason: `the highest is cuda-${length - 1}`, present: false };
    // A library that the loader finds by its name has its providers where the loader looks, too.
    const found = dirname(runtimeLibrary) === '.' || existsSync(join(dirname(runtimeLibrary), CUDA_PROVIDER));
    return found ? undefined : { reason: 'CUDA provider not installed: run npm run install:cuda', present: true };
  },
  appendProvider: (api, sessionOptions, free) => {
    const options = api.createCudaOptions();
    try {
      const limit = free === undefined ? {} : { gpu_mem_limit: String(free) };
      const entries = Object.entries({ device_id: String(index), ...limit, ...CUDA_OPTIONS });
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

/** Parts of the runtime's and the dynamic loader's messages, and what they mean for a person. */
const CAUSES: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [
    /(lib[\w+-]+\.so[.\d]*): cannot open shared object file/,
    ([, library]) => `${library} not found: ${howToGet(library)}`,
  ],
  [/CUDA failure 35|driver version is insufficient/, () => 'the NVIDIA driver is too old for this CUDA provider'],
  [/CUDA failure 100|no CUDA-capable device/, () => 'no NVIDIA GPU'],
  [/out of memory|failed to allocate/i, () => 'the device has not enough free memory'],
  [/requires f16 but the device does not/, () => 'this GPU has no half floats: take --dtype q4 or fp32'],
  [/no (?:supported )?adapters?|RequestAdapter|Failed to get a WebGPU adapter/i, () => 'no Vulkan device'],
  [
    /provider .*(?:not (?:supported|enabled|found)|is not enabled)/i,
    () => 'this build of ONNX Runtime has no such provider',
  ],
];

const howToGet = (library = ''): string =>
  library.startsWith('libcudnn')
    ? 'install cuDNN 9'
    : library.startsWith('libcu')
      ? 'install the CUDA runtime libraries'
      : 'install it';

/** The runtime's message about a device that it could not open, in words a person can act on; the message itself where none fit. */
export function causeOf(message: string): string {
  for (const [pattern, words] of CAUSES) {
    const match = pattern.exec(message);
    if (match) return words(match);
  }
  return message;
}
