/**
 * What to do about a device that cannot be used: the reason, as the engine says it, → words and the command. Pure. Packages are those of
 * Debian and Ubuntu; CUDA's and cuDNN's come from NVIDIA's own package source.
 */
import type { HostInfo } from './host-info.ts';

export interface Fix {
  readonly words: string;
  /** To be typed as it is, or a flag of the worker. */
  readonly command?: string;
}

type Rule = readonly [RegExp, (match: RegExpExecArray, host: HostInfo) => Fix | undefined];

const RULES: readonly Rule[] = [
  [/no NVIDIA driver/, (_, host) => (host.nvidiaCard ? nvidiaDriver(host) : undefined)],
  [/NVIDIA driver is too old/, (_, host) => nvidiaDriver(host)],
  [
    /NVIDIA driver has no GPU for this process/,
    () => ({
      words: 'CUDA_VISIBLE_DEVICES or the container (--gpus all) hides the cards; this lists them',
      command: 'nvidia-smi',
    }),
  ],
  [/the highest is cuda-(\d+)/, ([, last]) => ({ words: 'take one that is there', command: `--device cuda:${last}` })],
  [/CUDA provider not installed/, (_, host) => cudaProvider(host)],
  [/(lib[\w+-]+\.so[.\d]*) not found: /, ([, library = '']) => libraryOfCuda(library)],
  [
    /no Vulkan \(libvulkan/,
    () => ({
      words: "the Vulkan loader, and Mesa's drivers for AMD and Intel; NVIDIA's comes with its own driver",
      command: 'sudo apt-get install libvulkan1 mesa-vulkan-drivers',
    }),
  ],
  [/no Vulkan device/, (_, host) => vulkanDriver(host)],
  [/is a renderer in software/, (_, host) => (host.nvidiaCard ? vulkanDriver(host) : undefined)],
  [/no half floats/, () => ({ words: 'weights without half floats', command: '--dtype q4' })],
  [
    /not enough free memory|does not fit|needs .* free/,
    () => ({ words: 'free memory there, or take smaller weights', command: '--dtype q4' }),
  ],
  [
    /no such provider/,
    () => ({
      words: 'this library was built without that device: name a build that has it',
      command: '--runtime-library <libonnxruntime>',
    }),
  ],
];

/** @returns undefined where nothing can be done, such as for want of the hardware. */
export function fixFor(reason: string, host: HostInfo): Fix | undefined {
  for (const [pattern, fix] of RULES) {
    const match = pattern.exec(reason);
    if (match) return fix(match, host);
  }
  return undefined;
}

/** What to do about a library of the runtime that cannot be loaded. */
export function fixForRuntime({ library, npmRun }: HostInfo): Fix {
  if (library !== undefined)
    return { words: '--runtime-library must name a libonnxruntime for this machine, or be left out' };
  return npmRun === 'npm run'
    ? { words: 'the packages are not installed, or not for this machine', command: 'npm ci' }
    : { words: 'onnxruntime-node is not installed, or not for this machine', command: 'npm install onnxruntime-node' };
}

function nvidiaDriver({ distribution }: HostInfo): Fix {
  const container = 'in a container: the driver is the host’s, start it with --gpus all';
  if (distribution === 'ubuntu') return { words: container, command: 'sudo ubuntu-drivers install' };
  if (distribution === 'debian')
    return {
      words: `needs the components contrib and non-free; ${container}`,
      command: 'sudo apt-get install nvidia-driver',
    };
  return { words: `install NVIDIA's driver; ${container}` };
}

function cudaProvider({ library, platform, npmRun }: HostInfo): Fix {
  if (library !== undefined)
    return {
      words: `the provider files of the same version must lie beside ${library}: libonnxruntime_providers_cuda.so, libonnxruntime_providers_shared.so`,
    };
  if (platform === 'linux x64')
    return { words: "fetches them beside onnxruntime-node's library", command: `${npmRun} install:cuda` };
  return {
    words: 'onnxruntime-node has no CUDA files for this platform: name a build that has them',
    command: '--runtime-library <libonnxruntime>',
  };
}

/** The package of a library by its name; which CUDA it belongs to by its number, which is another for some of them. */
function libraryOfCuda(library: string): Fix | undefined {
  const source = "from NVIDIA's package source (its package cuda-keyring adds it)";
  if (library.startsWith('libcudnn'))
    return {
      words: `cuDNN 9, ${source}; for a provider of CUDA 13 libcudnn9-cuda-13`,
      command: 'sudo apt-get install libcudnn9-cuda-12',
    };
  if (!/^lib(cu|nv)/.test(library)) return undefined;
  const thirteen = /^libcufft\.so\.12|^(?!libcufft).*\.so\.13/.test(library);
  return {
    words: `the libraries of CUDA ${thirteen ? 13 : 12}, ${source}`,
    command: `sudo apt-get install ${thirteen ? 'cuda-libraries-13-0' : 'cuda-libraries-12-9'}`,
  };
}

function vulkanDriver({ nvidiaCard, distribution }: HostInfo): Fix {
  if (!nvidiaCard)
    return {
      words: "Mesa's Vulkan drivers for AMD and Intel; the user must be in the group render",
      command: 'sudo apt-get install mesa-vulkan-drivers',
    };
  const words = "NVIDIA's Vulkan driver; in a container: NVIDIA_DRIVER_CAPABILITIES=all";
  return distribution === 'debian' ? { words, command: 'sudo apt-get install nvidia-vulkan-icd' } : { words };
}
