/**
 * Reads the GPUs that this process may use, their names and their memory from the NVIDIA driver. The CUDA
 * driver lists the GPUs, because it respects CUDA_VISIBLE_DEVICES as the execution provider does. NVML
 * reports their memory, because it needs no CUDA context on the GPU.
 */
import type { Gpu, Nvidia } from '../../protocol/probe.ts';
import { functionsOf } from '../ffi.ts';

const SUCCESS = 0;
const NO_DEVICE = 100;
const TEXT_BYTES = 256;
const UUID_BYTES = 16;

const onWindows = process.platform === 'win32';
/** Path or name of the library of the CUDA driver. */
export const CUDA_DRIVER = onWindows ? 'nvcuda.dll' : 'libcuda.so.1';
const NVML = onWindows ? 'nvml.dll' : 'libnvidia-ml.so.1';

/**
 * Queries the NVIDIA driver. Never throws.
 * @returns undefined without an NVIDIA driver; an empty list of GPUs if the driver has none for this process.
 */
export function queryNvidia(): Nvidia | undefined {
  const cuda = functionsOf(CUDA_DRIVER, {
    cuInit: ['int', 'uint'],
    cuDriverGetVersion: ['int', 'void *'],
    cuDeviceGetCount: ['int', 'void *'],
    cuDeviceGet: ['int', 'void *', 'int'],
    cuDeviceGetName: ['int', 'void *', 'int', 'int'],
    cuDeviceGetUuid_v2: ['int', 'void *', 'int'],
  });
  if (!cuda) return undefined;
  const number = Buffer.alloc(4);
  const valueIf = (status: number | bigint): number | undefined =>
    status === SUCCESS ? number.readInt32LE() : undefined;
  const version = valueIf(cuda.cuDriverGetVersion(number));
  const cudaVersion =
    version === undefined ? {} : { cudaVersion: `${Math.floor(version / 1000)}.${(version % 1000) / 10}` };
  const started = Number(cuda.cuInit(0));
  const count = started === SUCCESS ? (valueIf(cuda.cuDeviceGetCount(number)) ?? 0) : 0;
  const nvml = openNvml();
  const gpus = Array.from({ length: count }, (_, index): Gpu => {
    const device = valueIf(cuda.cuDeviceGet(number, index)) ?? index;
    const name = Buffer.alloc(TEXT_BYTES);
    cuda.cuDeviceGetName(name, TEXT_BYTES, device);
    const uuid = Buffer.alloc(UUID_BYTES);
    const known = cuda.cuDeviceGetUuid_v2(uuid, device) === SUCCESS;
    return { name: textOf(name), ...(known && { uuid: dashed(uuid), ...nvml?.memory(uuid) }) };
  });
  const driverVersion = nvml?.driverVersion();
  return {
    ...(driverVersion !== undefined && { driverVersion }),
    ...cudaVersion,
    gpus,
    ...(![SUCCESS, NO_DEVICE].includes(started) && { fault: started }),
  };
}

type Memory = Required<Pick<Gpu, 'totalBytes' | 'freeBytes'>>;

interface Nvml {
  readonly driverVersion: () => string | undefined;
  readonly memory: (uuid: Buffer) => Memory | undefined;
}

function openNvml(): Nvml | undefined {
  const nvml = functionsOf(NVML, {
    nvmlInit_v2: ['int'],
    nvmlSystemGetDriverVersion: ['int', 'void *', 'uint'],
    nvmlDeviceGetHandleByUUID: ['int', 'str', 'void *'],
    nvmlDeviceGetMemoryInfo: ['int', 'void *', 'void *'],
  });
  if (nvml?.nvmlInit_v2() !== SUCCESS) return undefined;
  return {
    driverVersion: () => {
      const text = Buffer.alloc(TEXT_BYTES);
      return nvml.nvmlSystemGetDriverVersion(text, TEXT_BYTES) === SUCCESS ? textOf(text) : undefined;
    },
    memory: (uuid) => {
      const handle = Buffer.alloc(8);
      // A partition of a GPU (MIG) has its own prefix.
      const found = ['GPU', 'MIG'].some(
        (kind) => nvml.nvmlDeviceGetHandleByUUID(`${kind}-${dashed(uuid)}`, handle) === SUCCESS,
      );
      // nvmlMemory_t: total, free and used, eight bytes each.
      const memory = Buffer.alloc(24);
      if (!found || nvml.nvmlDeviceGetMemoryInfo(handle.readBigUInt64LE(), memory) !== SUCCESS) return undefined;
      return { totalBytes: Number(memory.readBigUInt64LE(0)), freeBytes: Number(memory.readBigUInt64LE(8)) };
    },
  };
}

const textOf = (bytes: Buffer): string => bytes.toString('utf8', 0, Math.max(0, bytes.indexOf(0)));

/** A UUID as 8-4-4-4-12 hexadecimal digits, the format of NVML. */
const dashed = (uuid: Buffer): string =>
  uuid.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
