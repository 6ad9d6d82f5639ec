/** CUDA on NVIDIA GPUs. The execution provider is a separate file beside the runtime's library. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deviceName } from '../../protocol/devices.ts';
import type { Reason } from '../../protocol/reasons.ts';
import { DEFAULT_MEMORY, DEVICE_ALLOCATOR, type Device, type DeviceFamily, withoutHeld } from './device.ts';
import { queryNvidia } from './nvidia-driver.ts';

const PROVIDER = process.platform === 'win32' ? 'onnxruntime_providers_cuda.dll' : 'libonnxruntime_providers_cuda.so';

/**
 * Memory of CUDA's context and libraries. Measured: 700 MB with a model of 3.5 MB on an H100; WebGPU needs 60
 * MB there.
 */
const WORK_BYTES = 768 * 2 ** 20;

/**
 * Disables TF32, which rounds the factors of a product to 10 bits. Float32 models then give the same tokens
 * as on the CPU: logits differ by 1e-5, with TF32 by 5e-3.
 */
const OPTIONS = { do_copy_in_default_stream: '1', use_tf32: '0' };

/** Records each run with a number of its own, and replays it. */
const CAPTURE_OPTIONS = { enable_cuda_graph: '1' };

/**
 * How the arena of the execution provider grows. With a cache in place, it allocates exactly the requested
 * bytes, because other workers may share the GPU. A growing cache requests a little more memory in each run,
 * and an arena of exact sizes would keep every piece: 2.1 GB after 4 000 tokens of a 2 MB cache, compared
 * with 12 MB by powers of two.
 */
const arenaOf = (grows: boolean): string => (grows ? 'kNextPowerOfTwo' : 'kSameAsRequested');

export const cuda: DeviceFamily = {
  count: () => queryNvidia()?.gpus.length ?? 0,
  at: (index): Device => ({
    name: deviceName('cuda', index),
    obstacle: (runtimeLibrary) => obstacleOf(index, runtimeLibrary),
    capture: { longestIn: 'host', releases: false },
    appendProvider: (api, sessionOptions, { free, grows, gpuGraph = 'off', options: more }) => {
      const options = api.createCudaOptions();
      try {
        const limit = free === undefined ? {} : { gpu_mem_limit: String(free) };
        const arena_extend_strategy = arenaOf(grows);
        const graph = gpuGraph === 'captured' ? CAPTURE_OPTIONS : {};
        const own = { device_id: String(index), arena_extend_strategy };
        const entries = Object.entries({ ...own, ...limit, ...OPTIONS, ...graph, ...more });
        const [keys, values] = [entries.map(([key]) => key), entries.map(([, value]) => value)];
        api.updateCudaOptions(options, keys, values, entries.length);
        api.appendCudaProvider(sessionOptions, options);
      } finally {
        api.releaseCudaOptions(options);
      }
    },
    memoryInfo: (api) => api.createMemoryInfo('Cuda', DEVICE_ALLOCATOR, index, DEFAULT_MEMORY),
    ownMemory: true,
    rowViews: true,
    workBytes: WORK_BYTES,
    freeBytes: (held) => withoutHeld(queryNvidia()?.gpus[index]?.freeBytes, held),
    memoryId: () => queryNvidia()?.gpus[index]?.uuid,
  }),
};

function obstacleOf(index: number, runtimeLibrary: string): Reason | undefined {
  const nvidia = queryNvidia();
  if (!nvidia) return { code: 'no_driver' };
  if (nvidia.fault !== undefined) return { code: 'driver_fault', fault: nvidia.fault };
  const { length } = nvidia.gpus;
  if (length === 0) return { code: 'no_gpu_for_process' };
  if (index >= length) return { code: 'index_out_of_range', highest: deviceName('cuda', length - 1) };
  // Without a folder in the path, the dynamic loader searches its own folders for the library and its
  // providers.
  const found = dirname(runtimeLibrary) === '.' || existsSync(join(dirname(runtimeLibrary), PROVIDER));
  return found ? undefined : { code: 'provider_missing' };
}
