/**
 * What the messages of the runtime, its providers and the dynamic loader mean: whether memory was lacking, and what a person can do. Pure.
 */

/**
 * By what allocators say: C++, the runtime's arenas (at a limit: "Available memory of … is smaller than requested bytes of …"), CUDA, cuBLAS,
 * WebGPU.
 */
const OUT_OF_MEMORY =
  /bad_alloc|failed to allocate|out of memory|cannot allocate|smaller than requested bytes|failed to create GPU buffer|ALLOC_FAILED|cudaErrorMemoryAllocation/i;

/** Whether something failed for want of memory. */
export const isOutOfMemory = (message: string): boolean => OUT_OF_MEMORY.test(message);

const NO_ADAPTER = process.platform === 'linux' ? 'no Vulkan device' : 'no GPU that WebGPU can use';

/** Parts of messages, and what they mean for a person. */
const CAUSES: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [
    /(lib[\w+-]+\.so[.\d]*): cannot open shared object file/,
    ([, library]) => `${library} not found: ${howToGet(library)}`,
  ],
  [/CUDA failure 35|driver version is insufficient/, () => 'the NVIDIA driver is too old for this CUDA provider'],
  [/CUDA failure 100|no CUDA-capable device/, () => 'no NVIDIA GPU'],
  [OUT_OF_MEMORY, () => 'the device has not enough free memory'],
  [/requires f16 but the device does not/, () => 'this GPU has no half floats: take --dtype q4 or fp32'],
  [/no (?:supported )?adapters?|RequestAdapter|Failed to get a WebGPU adapter/i, () => NO_ADAPTER],
  [
    /provider .*(?:not (?:supported|enabled|found)|is not enabled)/i,
    () => 'this build of ONNX Runtime has no such provider',
  ],
];

/** Which package has it depends on its version: `doctor` knows. */
const howToGet = (library = ''): string =>
  library.startsWith('libcu') ? 'rbees-workerd doctor names its package' : 'install it';

/** Why a device could not be opened, in words a person can act on; the message itself where none fit. */
export function causeOf(message: string): string {
  for (const [pattern, words] of CAUSES) {
    const match = pattern.exec(message);
    if (match) return words(match);
  }
  return message;
}
