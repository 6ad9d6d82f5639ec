/**
 * The dtypes of weights, and the order of preference for each kind of device. Pure: `weights.ts` finds the
 * dtypes of a folder.
 */
import { type DeviceKind, type DeviceName, kindOf } from '../protocol/devices.ts';

/** Dtype → suffix of the file's name, as in transformers.js. */
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
/** The values of `--dtype`. `quantized` is the older name of `q8`. */
export type DtypeChoice = Dtype | 'quantized' | 'auto';

export const dtypeNamed = (choice: Exclude<DtypeChoice, 'auto'>): Dtype => (choice === 'quantized' ? 'q8' : choice);

/** Every dtype once, in order of preference, each with the reason for choosing it. */
type Preferences = ReadonlyMap<Dtype, string>;

const EIGHT_BITS = ['q8', 'int8', 'uint8'] as const;
const eightBits = (reason: string): [Dtype, string][] => EIGHT_BITS.map((dtype) => [dtype, reason]);

/**
 * Memory bandwidth limits decoding, so 4-bit weights come first (measured on two CPU cores: 76 tokens/s, fp32
 * 31 tokens/s), then 8-bit, then fp32. Half floats come last, because a CPU must widen them.
 */
const CPU: Preferences = new Map<Dtype, string>([
  ['q4', '4-bit weights, least to read per token'],
  ...eightBits('8-bit weights, little to read per token'),
  ['fp32', 'full floats, which a CPU need not widen'],
  ['bnb4', '4-bit weights, widened before use'],
  ['q4f16', '4-bit weights with half floats, which a CPU widens'],
  ['fp16', 'half floats, which a CPU widens: nothing else is available'],
]);

/** CUDA's GroupQueryAttention accepts half floats only, and WebGPU reads half as many bytes with them. */
const GPU: Preferences = new Map<Dtype, string>([
  ['q4f16', '4-bit weights, native half floats'],
  ['fp16', 'half floats are native on this device'],
  ['q4', '4-bit weights, least to read per token'],
  ...eightBits('8-bit weights, little to read per token'),
  ['bnb4', '4-bit weights, widened before use'],
  ['fp32', 'full floats: nothing smaller is available'],
]);

/** Core ML computes with floats; each quantized matrix falls back to the CPU. */
const COREML: Preferences = new Map<Dtype, string>([
  ['fp16', 'half floats are native on this device'],
  ['fp32', 'full floats, which Core ML computes with'],
  ['q4f16', '4-bit weights: no plain floats are available'],
  ['q4', '4-bit weights: no plain floats are available'],
  ...eightBits('8-bit weights: no plain floats are available'),
  ['bnb4', '4-bit weights: no plain floats are available'],
]);

const PREFERENCES: Readonly<Record<DeviceKind, Preferences>> = { cpu: CPU, cuda: GPU, webgpu: GPU, coreml: COREML };

/** All dtypes, in the order in which the dtypes of a folder are listed. */
export const DTYPES: readonly Dtype[] = [...CPU.keys()];

/** A dtype, and a short reason for choosing it. */
export interface ChosenDtype {
  readonly dtype: Dtype;
  readonly reason: string;
}

/**
 * The available dtype that the device prefers, or the dtype of `--dtype`.
 * @returns undefined if the dtype of `--dtype` is not available, or if no dtype is.
 */
export function chooseDtype(
  device: DeviceName,
  choice: DtypeChoice,
  available: ReadonlySet<Dtype>,
): ChosenDtype | undefined {
  if (choice !== 'auto') {
    const dtype = dtypeNamed(choice);
    return available.has(dtype) ? { dtype, reason: 'selected by --dtype' } : undefined;
  }
  const preferences = PREFERENCES[kindOf(device)];
  for (const [dtype, reason] of preferences)
    if (available.has(dtype)) return { dtype, reason: available.size === 1 ? 'the only weights available' : reason };
  return undefined;
}
