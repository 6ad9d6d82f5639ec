/** WebGPU. On Linux it uses Vulkan; on other systems Direct3D or Metal, which are part of the system. */
import type { GpuGraph } from '../../protocol/loading.ts';
import type { Gpu } from '../../protocol/probe.ts';
import type { Reason } from '../../protocol/reasons.ts';
import { DEFAULT_MEMORY, DEVICE_ALLOCATOR, type DeviceFamily, single, withoutHeld } from './device.ts';
import { queryNvidia } from './nvidia-driver.ts';
import { queryVulkan } from './vulkan.ts';

/** The runtime's name for the memory of its WebGPU provider. */
const WEBGPU_MEMORY = 'WebGPU_Buf';
const WORK_BYTES = 128 * 2 ** 20;
/**
 * Options of the execution provider. The selection of the best logits needs int64 on the device; a provider
 * that records runs has it. In a replay, the validation of commands would fail.
 */
const OPTIONS: Readonly<Record<GpuGraph, Readonly<Record<string, string>>>> = {
  off: {},
  eager: { enableInt64: '1' },
  captured: { enableGraphCapture: '1', validationMode: 'disabled' },
};

export const webgpu: DeviceFamily = single({
  name: 'webgpu',
  obstacle: (_, byName) => (process.platform === 'linux' ? obstacleOfVulkan(byName) : undefined),
  capture: { longestIn: 'device', releases: true },
  appendProvider: (api, sessionOptions, { gpuGraph = 'off', options: more }) => {
    const entries = Object.entries({ ...OPTIONS[gpuGraph], ...more });
    const [keys, values] = [entries.map(([key]) => key), entries.map(([, value]) => value)];
    api.appendProvider(sessionOptions, 'WebGPU', keys, values, keys.length);
  },
  memoryInfo: (api) => api.createMemoryInfo(WEBGPU_MEMORY, DEVICE_ALLOCATOR, 0, DEFAULT_MEMORY),
  ownMemory: true,
  // A WebGPU buffer is a handle, so an address inside it does not exist.
  rowViews: false,
  workBytes: WORK_BYTES,
  // Vulkan reports the size of a GPU's memory, but not how much of it is free. NVML reports that for an
  // NVIDIA GPU.
  freeBytes: (held) => withoutHeld(nvidiaGpu()?.freeBytes, held),
  memoryId: () => nvidiaGpu()?.uuid,
});

/** The NVIDIA GPU with the name of the GPU that WebGPU uses. */
function nvidiaGpu(): Gpu | undefined {
  const name = queryVulkan()?.find(({ software }) => !software)?.name;
  return queryNvidia()?.gpus.find((gpu) => gpu.name === name);
}

function obstacleOfVulkan(byName: boolean): Reason | undefined {
  const devices = queryVulkan();
  if (!devices) return { code: 'no_vulkan_loader' };
  const [first] = devices;
  if (!first) return { code: 'no_vulkan_device' };
  const usable = byName || devices.some(({ software }) => !software);
  return usable ? undefined : { code: 'software_renderer', name: first.name };
}
