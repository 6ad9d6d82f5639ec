/**
 * Facts about this machine that decide which fix helps: platform, distribution, NVIDIA card, how npm scripts are run.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/config.ts';
import { PACKAGE_FILE } from '../../config/paths.ts';

/** Where the reason was met. */
export interface HostInfo {
  /** `linux x64`, as Node names it. */
  readonly platform: string;
  /** Of /etc/os-release: `debian`, `ubuntu`, …; empty elsewhere. */
  readonly distribution: string;
  /** A graphics card of NVIDIA is on the PCI bus, whether or not it has a driver. */
  readonly nvidiaCard: boolean;
  /** How a script of this package is run: `npm run` in a checkout. */
  readonly npmRun: string;
  /** `--runtime-library`, if it was given. */
  readonly library: string | undefined;
}

export function hostInfo({ runtimeLibrary }: Config): HostInfo {
  const installed = /[\\/]node_modules[\\/]/.test(fileURLToPath(PACKAGE_FILE));
  return {
    platform: `${process.platform} ${process.arch}`,
    distribution: /^ID="?(\w+)/m.exec(textOf('/etc/os-release'))?.[1] ?? '',
    nvidiaCard: hasNvidiaCard(),
    npmRun: installed ? 'npm explore rbees-workerd -- npm run' : 'npm run',
    library: runtimeLibrary,
  };
}

/** Linux lists what is on the PCI bus: vendor 0x10de, class 0x03… (displays and 3D controllers). */
function hasNvidiaCard(bus = '/sys/bus/pci/devices'): boolean {
  const devices = found(() => readdirSync(bus));
  if ('problem' in devices) return false;
  const says = (device: string, file: string, begins: string): boolean =>
    textOf(`${bus}/${device}/${file}`).startsWith(begins);
  return devices.value.some((device) => says(device, 'vendor', '0x10de') && says(device, 'class', '0x03'));
}

function textOf(file: string): string {
  const text = found(() => readFileSync(file, 'utf8'));
  return 'problem' in text ? '' : text.value;
}

/** The value, or why there is none. */
export function found<T>(look: () => T): { readonly value: T } | { readonly problem: string } {
  try {
    return { value: look() };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
