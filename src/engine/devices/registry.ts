/**
 * The devices of the engine, by the kinds of `protocol/devices.ts`. A new kind of device is one more entry
 * here.
 */
import { type DeviceKind, type DeviceName, indexOf, kindOf } from '../../protocol/devices.ts';
import { coreml } from './coreml.ts';
import { cpu } from './cpu.ts';
import { cuda } from './cuda.ts';
import type { Device, DeviceFamily } from './device.ts';
import { webgpu } from './webgpu.ts';

export const FAMILIES: Readonly<Record<DeviceKind, DeviceFamily>> = { cpu, cuda, webgpu, coreml };

/** The device with this name. @throws Error for a device of an unknown kind. */
export const deviceNamed = (name: DeviceName): Device => FAMILIES[kindOf(name)].at(indexOf(name));
