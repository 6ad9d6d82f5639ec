/**
 * Which devices are tried for `--device`, in which order. Pure: whether one really opens is seen by the engine.
 */

/** Fastest first. `needs`: platforms, and architectures, for which the runtime has the provider at all. */
const ORDER: readonly { readonly device: string; readonly on?: RegExp }[] = [
  { device: 'cuda-0', on: /^(linux|win32) x64$/ },
  { device: 'webgpu' },
  // Behind WebGPU: its provider has no attention that keeps a cache, which stays on the host.
  { device: 'coreml', on: /^darwin / },
  { device: 'cpu' },
];

/** The machine a worker runs on, as Node names it. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
}

/**
 * Devices to try, by the names that the engine knows: `cuda` is `cuda-0`, `cuda:1` is `cuda-1`.
 * @param choice the setting `--device`: `auto`, or one device, which is then the only one.
 */
export function devicesToTry(choice: string, { platform, arch }: Machine = process): readonly string[] {
  if (choice !== 'auto') return [choice.replace(/^cuda(?::(\d+))?$/, (_, index = '0') => `cuda-${Number(index)}`)];
  return ORDER.filter(({ on }) => on?.test(`${platform} ${arch}`) ?? true).map(({ device }) => device);
}
