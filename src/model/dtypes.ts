/**
 * How weights can be stored, and which way suits which device. Pure: what a folder has is found by `weights.ts`.
 */

/** How the weights are stored → what their file's name ends with, as transformers.js names them. */
export const SUFFIXES = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
} as const;

export type Dtype = keyof typeof SUFFIXES;
/** What a caller may ask for. `quantized` is the older name of `q8`. */
export type DtypeChoice = Dtype | 'quantized' | 'auto';

export const dtypeNamed = (choice: Exclude<DtypeChoice, 'auto'>): Dtype => (choice === 'quantized' ? 'q8' : choice);

/** Every dtype once, the most wanted first, with the reason that is told when it is taken before others. */
type Preferences = ReadonlyMap<Dtype, string>;

const EIGHT_BITS = ['q8', 'int8', 'uint8'] as const;
const eightBits = (reason: string): [Dtype, string][] => EIGHT_BITS.map((dtype) => [dtype, reason]);

/**
 * Decoding is bound by memory, so 4-bit weights come first (76 against 31 tokens/s of fp32, measured on two CPU cores), then 8-bit, then
 * fp32. Half floats come last: a CPU has to widen them.
 */
const CPU: Preferences = new Map<Dtype, string>([
  ['q4', '4-bit weights, least to read per token'],
  ...eightBits('8-bit weights, little to read per token'),
  ['fp32', 'full floats, which a CPU need not widen'],
  ['bnb4', '4-bit weights, widened before use'],
  ['q4f16', '4-bit weights; a CPU widens their half floats'],
  ['fp16', 'a CPU widens half floats: nothing else is there'],
]);

/** CUDA's GroupQueryAttention takes half floats only, and WebGPU reads half the bytes with them. */
const GPU: Preferences = new Map<Dtype, string>([
  ['q4f16', '4-bit weights, native half floats'],
  ['fp16', 'half floats are native there'],
  ['q4', '4-bit weights, least to read per token'],
  ...eightBits('8-bit weights, little to read per token'),
  ['bnb4', '4-bit weights, widened before use'],
  ['fp32', 'full floats: nothing smaller is there'],
]);

/** CoreML computes with floats; quantized matrices fall back to the CPU one by one. */
const COREML: Preferences = new Map<Dtype, string>([
  ['fp16', 'half floats are native there'],
  ['fp32', 'full floats, which CoreML computes with'],
  ['q4f16', '4-bit weights: there are no plain floats'],
  ['q4', '4-bit weights: there are no plain floats'],
  ...eightBits('8-bit weights: there are no plain floats'),
  ['bnb4', '4-bit weights: there are no plain floats'],
]);

const PREFERENCES: Readonly<Record<string, Preferences>> = { cuda: GPU, webgpu: GPU, coreml: COREML };

/** All dtypes, in the order in which a folder's weights are listed. */
export const DTYPES: readonly Dtype[] = [...CPU.keys()];

/** A dtype, and in a few words why it was taken. */
export interface ChosenDtype {
  readonly dtype: Dtype;
  readonly reason: string;
}

/**
 * The dtype of those there are that suits a device, or the one that was asked for.
 * @param device `cpu`, `cuda-0`, `webgpu`, `coreml`.
 * @returns undefined when what was asked for is not there, or nothing is.
 */
export function chooseDtype(device: string, choice: DtypeChoice, there: ReadonlySet<Dtype>): ChosenDtype | undefined {
  if (choice !== 'auto') {
    const dtype = dtypeNamed(choice);
    return there.has(dtype) ? { dtype, reason: 'asked for by --dtype' } : undefined;
  }
  const preferences = PREFERENCES[device.replace(/-\d+$/, '')] ?? CPU;
  for (const [dtype, reason] of preferences)
    if (there.has(dtype)) return { dtype, reason: there.size === 1 ? 'the only weights there are' : reason };
  return undefined;
}
