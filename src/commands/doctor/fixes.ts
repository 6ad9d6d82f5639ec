/**
 * The fix for each reason why a device cannot be used: an explanation and the command. Pure. Packages are
 * those of Debian and Ubuntu; the packages of CUDA and cuDNN come from NVIDIA's package source.
 */
import { flagFor } from '../../protocol/devices.ts';
import type { Reason, ReasonCode } from '../../protocol/reasons.ts';
import type { HostInfo } from './host-info.ts';

/** A fix, as the report prints it. */
export interface Fix {
  /** The explanation: a phrase without a full stop. */
  readonly words: string;
  /** A command to copy, or a flag of the worker. */
  readonly command?: string;
}

/** No fix exists, for example for missing hardware, or the fix is unknown. */
const none = (): undefined => undefined;

const FIXES: { readonly [C in ReasonCode]: (reason: Reason<C>, host: HostInfo) => Fix | undefined } = {
  no_driver: (_, host) => (host.nvidiaCard ? nvidiaDriver(host) : undefined),
  driver_fault: none,
  no_gpu_for_process: () => HIDDEN_CARDS,
  no_cuda_device: () => HIDDEN_CARDS,
  index_out_of_range: ({ highest }) => ({
    words: 'select a card of this machine',
    command: `--device ${flagFor(highest)}`,
  }),
  provider_missing: (_, host) => cudaProvider(host),
  provider_not_built: () => ({
    words: 'this library was built without the provider: select a build that has it',
    command: '--runtime-library <libonnxruntime>',
  }),
  library_missing: ({ library }) => libraryOfCuda(library),
  driver_too_old: (_, host) => nvidiaDriver(host),
  no_vulkan_loader: () => ({
    words: "the Vulkan loader, and Mesa's drivers for AMD and Intel; NVIDIA's driver brings its own",
    command: 'sudo apt-get install libvulkan1 mesa-vulkan-drivers',
  }),
  no_vulkan_device: (_, host) => vulkanDriver(host),
  no_adapter: (_, host) => (host.platform.startsWith('linux') ? vulkanDriver(host) : undefined),
  software_renderer: (_, host) => (host.nvidiaCard ? vulkanDriver(host) : undefined),
  wrong_platform: none,
  no_half_floats: () => ({ words: 'weights without half floats', command: '--dtype q4' }),
  out_of_memory: () => MORE_MEMORY,
  does_not_fit: () => MORE_MEMORY,
  cache_too_small: ({ leastMemory }) => ({
    words: 'more memory for the KV cache',
    command: `--cache-memory ${leastMemory / 2 ** 20}`,
  }),
  computes_wrong: () => ({ words: 'a newer driver of the device, or another device', command: '--device cpu' }),
  no_logits: () => ({ words: 'whole weights: the model computes logits of 0' }),
  operator_ignores: ({ operator, attribute }) => ({
    words: `another device for this model: the operator ${operator} of this device ignores ${attribute}`,
    command: '--device cpu',
  }),
  no_experts: () => ({
    words: 'another device for this model: this one does not compute mixtures of experts',
    command: '--device cpu',
  }),
  weights_changed: () => ({ words: 'files that no program replaces: run the command again' }),
  cannot_convert: () => ({ words: 'weights that can be converted: see the reason' }),
  disk_full: () => ({ words: 'a folder on a disk with more space', command: '--weights-cache <folder>' }),
  not_written: () => ({ words: 'a folder that the worker can write', command: '--weights-cache <folder>' }),
  runtime: none,
};

const HIDDEN_CARDS: Fix = {
  words: 'CUDA_VISIBLE_DEVICES or the container (--gpus all) hides the cards; this command lists them',
  command: 'nvidia-smi',
};
const MORE_MEMORY: Fix = { words: "free some of the device's memory, or use smaller weights", command: '--dtype q4' };

/** The fix for a reason on this machine; undefined if there is none, for example for missing hardware. */
export function fixFor<C extends ReasonCode>(reason: Reason<C>, host: HostInfo): Fix | undefined {
  return FIXES[reason.code](reason, host);
}

/** The fix for a library of the runtime that cannot be loaded. */
export function fixForRuntime({ library, npmRun }: HostInfo): Fix {
  if (library !== undefined)
    return { words: '--runtime-library must name a libonnxruntime for this machine, or be omitted' };
  return npmRun === 'npm run'
    ? { words: 'the packages are not installed, or are for another machine', command: 'npm ci' }
    : {
        words: 'onnxruntime-node is not installed, or is for another machine',
        command: 'npm install onnxruntime-node',
      };
}

function nvidiaDriver({ distribution }: HostInfo): Fix {
  const container = 'in a container: install the driver on the host, and start the container with --gpus all';
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
      words: `the provider files of the same version must be in the folder of ${library}: libonnxruntime_providers_cuda.so, libonnxruntime_providers_shared.so`,
    };
  if (platform === 'linux x64')
    return {
      words: "this command downloads the provider into the folder of onnxruntime-node's library",
      command: `${npmRun} install:cuda`,
    };
  return {
    words: 'onnxruntime-node has no CUDA files for this platform: select a build that has them',
    command: '--runtime-library <libonnxruntime>',
  };
}

/**
 * The package of a library. The number in the file name gives the version of CUDA; for some libraries the two
 * numbers differ.
 */
function libraryOfCuda(library: string): Fix | undefined {
  const source = "from NVIDIA's package source (added by its package cuda-keyring)";
  if (library.startsWith('libcudnn'))
    return {
      words: `cuDNN 9, ${source}; for a provider of CUDA 13: libcudnn9-cuda-13`,
      command: 'sudo apt-get install libcudnn9-cuda-12',
    };
  if (!/^lib(cu|nv)/.test(library)) return undefined;
  const isCuda13 = /^libcufft\.so\.12|^(?!libcufft).*\.so\.13/.test(library);
  return {
    words: `the libraries of CUDA ${isCuda13 ? 13 : 12}, ${source}`,
    command: `sudo apt-get install ${isCuda13 ? 'cuda-libraries-13-0' : 'cuda-libraries-12-9'}`,
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
