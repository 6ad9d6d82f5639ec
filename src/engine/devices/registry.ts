/** The devices of the engine, by the kinds of `protocol/devices.ts`. A new kind is a line here. */
import { type DeviceKind, type DeviceName, indexOf, kindOf } from '../../protocol/devices.ts';
import { coreml } from './coreml.ts';
import { cpu } from './cpu.ts';
import { cuda } from './cuda.ts';
import type { Device, DeviceFamily } from './device.ts';
import { webgpu } from './webgpu.ts';

export const FAMILIES: Readonly<Record<DeviceKind, DeviceFamily>> = { cpu, cuda, webgpu, coreml };

/** @throws Error for a device whose kind is unknown. */
export const deviceNamed = (name: DeviceName): Device => FAMILIES[kindOf(name)].at(indexOf(name));
