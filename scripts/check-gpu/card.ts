/** The facts about the machine of a check: card, driver, memory, and the bandwidth of the memory of the card. */
import { cpus, totalmem } from 'node:os';
import { describeReason } from '../../src/lifecycle/reasons.ts';
import type { DeviceName } from '../../src/protocol/devices.ts';
import { kindOf } from '../../src/protocol/devices.ts';
import type { DeviceProbe, Gpu } from '../../src/protocol/probe.ts';
import type { Section } from './page.ts';
import type { UsableDevice } from './preflight.ts';

/**
 * Bandwidth of cards in GB/s, from the data sheets of the vendor. The first name that a card's name contains
 * counts, so that longer names come first.
 */
const BANDWIDTHS: readonly (readonly [name: RegExp, gigabytes: number])[] = [
  [/GH200|H200/, 4800],
  [/B200|GB200/, 8000],
  [/H100 NVL/, 3900],
  [/H100.*PCIe/, 2000],
  [/H100/, 3350],
  [/A100.*80GB.*PCIe/, 1935],
  [/A100.*80GB/, 2039],
  [/A100/, 1555],
  [/L40S/, 864],
  [/L40/, 864],
  [/L4\b/, 300],
  [/A10G/, 600],
  [/A10\b/, 600],
  [/A40\b/, 696],
  [/RTX 6000 Ada/, 960],
  [/RTX A6000/, 768],
  [/T4\b/, 320],
  [/V100/, 900],
  [/RTX 5090/, 1792],
  [/RTX 4090/, 1008],
  [/RTX 3090/, 936],
];

/** Bandwidth of the memory of a card in bytes per second; undefined for an unknown name. */
export function bandwidthOf(name: string): number | undefined {
  const found = BANDWIDTHS.find(([pattern]) => pattern.test(name));
  return found && found[1] * 1e9;
}

/** The card on which a device computes; undefined for the CPU and for a renderer in software. */
export function cardOf(device: DeviceName, { nvidia, vulkan }: DeviceProbe): Gpu | undefined {
  if (kindOf(device) === 'cuda') return nvidia?.gpus[0];
  if (kindOf(device) !== 'webgpu') return undefined;
  const real = vulkan?.find(({ software }) => !software);
  return real && (nvidia?.gpus.find(({ name }) => name === real.name) ?? real);
}

/** The devices of a card: CUDA, and WebGPU on a real card, without the devices that have an obstacle. */
export function cardDevices(probe: DeviceProbe): DeviceName[] {
  const usable = probe.devices.filter(({ autoObstacle }) => autoObstacle === undefined).map(({ name }) => name);
  const first = (kind: 'cuda' | 'webgpu'): DeviceName[] => usable.filter((name) => kindOf(name) === kind).slice(0, 1);
  return [...first('cuda'), ...(cardOf('webgpu', probe) ? first('webgpu') : [])];
}

const gigabytes = (bytes: number | undefined): string =>
  bytes === undefined ? 'unknown' : `${(bytes / 1e9).toFixed(1)} GB`;

/** Why devices cannot be used, or are no card, one sentence each. */
export const obstaclesOf = ({ devices }: Pick<DeviceProbe, 'devices'>): string[] =>
  devices.flatMap(({ name, obstacle, autoObstacle = obstacle }) =>
    autoObstacle && kindOf(name) !== 'coreml' ? [`${name}: ${describeReason(autoObstacle)}`] : [],
  );

export interface Facts {
  readonly probe: DeviceProbe;
  readonly usable: readonly UsableDevice[];
  /** Why other devices do not open. */
  readonly refused: readonly string[];
  readonly bandwidth: number | undefined;
  readonly command: string;
  readonly peer: string;
}

/** The section with the facts. */
export function factsSection({ probe, usable, refused, bandwidth, command, peer }: Facts): Section {
  const { nvidia, vulkan = [] } = probe;
  const unused = probe.devices.filter(({ name }) => !usable.some(({ device }) => device === name));
  return {
    title: 'The machine',
    head: ['', ''],
    rows: [
      ['date', new Date().toISOString().slice(0, 10)],
      ['command', `\`${command}\``],
      ['devices', usable.map(({ device }) => device).join(', ') || 'none'],
      ['not usable', [...obstaclesOf({ devices: unused }), ...refused].join('; ') || 'none'],
      [
        'cards',
        nvidia?.gpus.map(({ name, totalBytes }) => `${name}, ${gigabytes(totalBytes)}`).join('; ') || 'no NVIDIA card',
      ],
      ['Vulkan', vulkan.map(({ name, software }) => `${name}${software ? ' (in software)' : ''}`).join('; ') || 'none'],
      ['driver, CUDA of the driver', nvidia ? `${nvidia.driverVersion ?? '?'}, ${nvidia.cudaVersion ?? '?'}` : 'none'],
      ['bandwidth of the memory of the card', bandwidth === undefined ? 'unknown' : `${bandwidth / 1e9} GB/s`],
      [
        'ONNX Runtime',
        usable.map((one) => `${one.device}: ${one.runtimeVersion}, \`${one.runtimeLibrary}\``).join('; ') || '?',
      ],
      ['Node.js', `${process.version}, ${process.platform} ${process.arch}`],
      ['CPU', `${cpus().length} × ${cpus()[0]?.model ?? '?'}, ${gigabytes(totalmem())}`],
      ['PyTorch', peer],
    ],
  };
}
