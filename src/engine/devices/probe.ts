/**
 * Looks around on the machine without opening a model: which runtime, which devices, what stands in their way, what the drivers say.
 */
import type { DeviceProbe, ProbedDevice } from '../../protocol/probe.ts';
import { KOFFI_VERSION } from '../ffi.ts';
import { loadOrt } from '../ort/api.ts';
import { deviceNamed } from './device.ts';
import { askNvidia } from './nvidia-driver.ts';
import { askVulkan } from './vulkan.ts';

/** Never throws: what is broken is part of the answer. `more` are devices that are told of whether or not they are there. */
export function probeDevices(runtimeLibrary: string, more: readonly string[]): DeviceProbe {
  const nvidia = askNvidia();
  const vulkan = process.platform === 'linux' ? askVulkan() : undefined;
  const cards = Array.from({ length: Math.max(1, nvidia?.gpus.length ?? 0) }, (_, index) => `cuda-${index}`);
  const names = new Set([...cards, ...more.filter((name) => name.startsWith('cuda-')), 'webgpu', 'coreml', 'cpu']);
  return {
    ...runtimeOf(runtimeLibrary),
    koffiVersion: KOFFI_VERSION,
    devices: [...names].map((name) => probed(name, runtimeLibrary)),
    ...(nvidia && { nvidia }),
    ...(vulkan && { vulkan }),
  };
}

function runtimeOf(library: string): Pick<DeviceProbe, 'runtimeVersion' | 'runtimeProblem'> {
  try {
    return { runtimeVersion: loadOrt(library).version };
  } catch (error) {
    return { runtimeProblem: error instanceof Error ? error.message : String(error) };
  }
}

function probed(name: string, runtimeLibrary: string): ProbedDevice {
  const device = deviceNamed(name);
  const obstacle = device.obstacle(runtimeLibrary, true)?.reason;
  const autoObstacle = device.obstacle(runtimeLibrary, false)?.reason;
  return { name, ...(obstacle !== undefined && { obstacle }), ...(autoObstacle !== undefined && { autoObstacle }) };
}
