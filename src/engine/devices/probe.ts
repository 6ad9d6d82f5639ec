/**
 * Reports the runtime, the devices, their known obstacles and the drivers of this machine, without opening a
 * model.
 */

import { DEVICE_KINDS, type DeviceKind, type DeviceName, deviceName, kindOf } from '../../protocol/devices.ts';
import type { DeviceProbe, ProbedDevice } from '../../protocol/probe.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { KOFFI_VERSION } from '../ffi.ts';
import { usableThreads } from '../host/cpu-threads.ts';
import { loadOrt } from '../ort/api.ts';
import { queryNvidia } from './nvidia-driver.ts';
import { deviceNamed, FAMILIES } from './registry.ts';
import { queryVulkan } from './vulkan.ts';

/**
 * Probes this machine. Never throws: faults are part of the report.
 * @param more devices to report even if this machine lacks them.
 */
export function probeDevices(runtimeLibrary: string, more: readonly DeviceName[]): DeviceProbe {
  const nvidia = queryNvidia();
  const vulkan = process.platform === 'linux' ? queryVulkan() : undefined;
  const names = DEVICE_KINDS.flatMap((kind) => namesOf(kind, more));
  return {
    ...runtimeOf(runtimeLibrary),
    koffiVersion: KOFFI_VERSION,
    threads: usableThreads(),
    devices: names.map((name) => probed(name, runtimeLibrary)),
    ...(nvidia && { nvidia }),
    ...(vulkan && { vulkan }),
  };
}

/**
 * The names of the present and the requested devices of a kind. At least one, so that the report says why a
 * kind is missing.
 */
function namesOf(kind: DeviceKind, more: readonly DeviceName[]): DeviceName[] {
  const count = Math.max(1, FAMILIES[kind].count());
  const present = Array.from({ length: count }, (_, index) => deviceName(kind, index));
  return [...new Set([...present, ...more.filter((name) => kindOf(name) === kind)])];
}

function runtimeOf(library: string): Pick<DeviceProbe, 'runtimeVersion' | 'runtimeProblem'> {
  try {
    return { runtimeVersion: loadOrt(library).version };
  } catch (error) {
    return { runtimeProblem: messageOf(error) };
  }
}

function probed(name: DeviceName, runtimeLibrary: string): ProbedDevice {
  const device = deviceNamed(name);
  const obstacle = device.obstacle(runtimeLibrary, true);
  const autoObstacle = device.obstacle(runtimeLibrary, false);
  return { name, ...(obstacle && { obstacle }), ...(autoObstacle && { autoObstacle }) };
}
