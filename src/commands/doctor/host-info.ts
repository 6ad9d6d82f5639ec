/**
 * Facts about this machine that select a fix: platform, distribution, NVIDIA card, and the way to run npm
 * scripts. Reads files only.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/config.ts';
import { PACKAGE_FILE } from '../../config/paths.ts';
import { messageOf } from '../../protocol/text/error-message.ts';

export interface HostInfo {
  /** Platform and architecture as Node names them: `linux x64`. */
  readonly platform: string;
  /** `ID` of /etc/os-release: `debian`, `ubuntu`, …; empty on other systems. */
  readonly distribution: string;
  /** True if the PCI bus has an NVIDIA graphics card, with or without a driver. */
  readonly nvidiaCard: boolean;
  /** The command that runs a script of this package, such as `npm run` in a checkout. */
  readonly npmRun: string;
  /** The setting `--runtime-library`. */
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

/**
 * Linux lists the devices of the PCI bus: vendor 0x10de is NVIDIA, class 0x03… displays and 3D controllers.
 */
function hasNvidiaCard(bus = '/sys/bus/pci/devices'): boolean {
  const devices = attempt(() => readdirSync(bus));
  if ('problem' in devices) return false;
  const fileStarts = (device: string, file: string, begins: string): boolean =>
    textOf(`${bus}/${device}/${file}`).startsWith(begins);
  return devices.value.some((device) => fileStarts(device, 'vendor', '0x10de') && fileStarts(device, 'class', '0x03'));
}

function textOf(file: string): string {
  const text = attempt(() => readFileSync(file, 'utf8'));
  return 'problem' in text ? '' : text.value;
}

/** The value that `work` returns, or the message of the error that it throws. */
export function attempt<T>(work: () => T): { readonly value: T } | { readonly problem: string } {
  try {
    return { value: work() };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
