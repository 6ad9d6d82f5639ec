/**
 * The dtypes of weights, and the order of preference for each kind of device. Pure: `weights.ts` finds the
 * dtypes of a folder.
 */
import { DEVICES, type DeviceKind, type DeviceName, kindOf } from '../protocol/devices.ts';

/** Dtype of an .onnx file → suffix of the file's name, as in transformers.js. */
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

/** A dtype of an .onnx file. */
export type OnnxDtype = keyof typeof SUFFIXES;
/** A dtype of a checkpoint: the element type of its weights. */
export const CHECKPOINT_DTYPES = ['fp32', 'fp16', 'bf16'] as const;
export type CheckpointDtype = (typeof CHECKPOINT_DTYPES)[number];
export type Dtype = OnnxDtype | CheckpointDtype;
/** The formats of weights that a worker runs. */
export const WEIGHT_FORMATS = ['onnx', 'safetensors', 'gguf'] as const;
export type FormatChoice = (typeof WEIGHT_FORMATS)[number] | 'auto';
/** The values of `--dtype`. `quantized` is the older name of `q8`. */
export type DtypeChoice = Dtype | 'quantized' | 'auto';

export const dtypeNamed = (choice: Exclude<DtypeChoice, 'auto'>): Dtype => (choice === 'quantized' ? 'q8' : choice);

/** Every dtype of an .onnx file once, in order of preference, each with the reason for choosing it. */
type Preferences = ReadonlyMap<OnnxDtype, string>;

const EIGHT_BITS = ['q8', 'int8', 'uint8'] as const;
const eightBits = (reason: string): [OnnxDtype, string][] => EIGHT_BITS.map((dtype) => [dtype, reason]);

/**
 * Memory bandwidth limits decoding, so 4-bit weights come first (measured on two CPU cores: 76 tokens/s, fp32
 * 31 tokens/s), then 8-bit, then fp32. Half floats come last, because a CPU must widen them.
 */
const CPU: Preferences = new Map<OnnxDtype, string>([
  ['q4', '4-bit weights, least to read per token'],
  ...eightBits('8-bit weights, little to read per token'),
  ['fp32', 'full floats, which a CPU need not widen'],
  ['bnb4', '4-bit weights, widened before use'],
  ['q4f16', '4-bit weights with half floats, which a CPU widens'],
  ['fp16', 'half floats, which a CPU widens: nothing else is available'],
]);

/** CUDA's GroupQueryAttention accepts half floats only, and WebGPU reads half as many bytes with them. */
const GPU: Preferences = new Map<OnnxDtype, string>([
  ['q4f16', '4-bit weights, native half floats'],
  ['fp16', 'half floats are native on this device'],
  ['q4', '4-bit weights, least to read per token'],
  ...eightBits('8-bit weights, little to read per token'),
  ['bnb4', '4-bit weights, widened before use'],
  ['fp32', 'full floats: nothing smaller is available'],
]);

/** Core ML computes with floats; each quantized matrix falls back to the CPU. */
const COREML: Preferences = new Map<OnnxDtype, string>([
  ['fp16', 'half floats are native on this device'],
  ['fp32', 'full floats, which Core ML computes with'],
  ['q4f16', '4-bit weights: no plain floats are available'],
  ['q4', '4-bit weights: no plain floats are available'],
  ...eightBits('8-bit weights: no plain floats are available'),
  ['bnb4', '4-bit weights: no plain floats are available'],
]);

const PREFERENCES: Readonly<Record<DeviceKind, Preferences>> = { cpu: CPU, cuda: GPU, webgpu: GPU, coreml: COREML };

/** All dtypes of .onnx files, in the order in which the dtypes of a folder are listed. */
export const ONNX_DTYPES: readonly OnnxDtype[] = [...CPU.keys()];

/** A dtype, and a short reason for choosing it. */
export interface ChosenDtype<D extends string = Dtype> {
  readonly dtype: D;
  readonly reason: string;
}

const SELECTED = 'selected by --dtype';

/**
 * The available dtype of .onnx files that the device prefers, or the dtype of `--dtype`.
 * @returns undefined if the dtype of `--dtype` is not available, or if no dtype is.
 */
export function chooseDtype(
  device: DeviceName,
  choice: DtypeChoice,
  available: ReadonlySet<OnnxDtype>,
): ChosenDtype<OnnxDtype> | undefined {
  const only = choice === 'auto' ? undefined : dtypeNamed(choice);
  for (const [dtype, reason] of PREFERENCES[kindOf(device)]) {
    if (!available.has(dtype) || (only !== undefined && dtype !== only)) continue;
    if (only !== undefined) return { dtype, reason: SELECTED };
    return { dtype, reason: available.size === 1 ? 'the only weights available' : reason };
  }
  return undefined;
}

/** Kinds of devices for which the worker builds no graph: Core ML has no attention with a KV cache. */
const WITHOUT_CHECKPOINTS: ReadonlySet<DeviceKind> = new Set(['coreml']);
export const runsCheckpoints = (device: DeviceName): boolean => !WITHOUT_CHECKPOINTS.has(kindOf(device));

/** The dtypes to which the engine quantizes the matrices of a float checkpoint when it loads them. */
export const QUANTIZED_AT_LOAD = ['q8', 'q4'] as const;
export type QuantizedAtLoad = (typeof QUANTIZED_AT_LOAD)[number];

/** A dtype of a float checkpoint on a device. */
export interface CheckpointChoice extends ChosenDtype<CheckpointDtype | QuantizedAtLoad> {
  /** The engine quantizes the matrices to this dtype; absent: they stay floats. */
  readonly quantize?: QuantizedAtLoad;
}

/**
 * The dtype of a checkpoint of floats, if the device computes checkpoints and `--dtype` allows it: its own
 * dtype, or one to which it is quantized at load. Only a device whose attention needs half floats computes
 * with half floats.
 */
export function chooseCheckpoint(
  device: DeviceName,
  choice: DtypeChoice,
  dtype: CheckpointDtype,
): CheckpointChoice | undefined {
  if (!runsCheckpoints(device)) return undefined;
  if (choice === dtype) return { dtype, reason: SELECTED };
  if (choice !== 'auto') {
    const quantize = QUANTIZED_AT_LOAD.find((one) => one === dtypeNamed(choice));
    return quantize && { dtype: quantize, reason: `the ${dtype} weights, quantized at load`, quantize };
  }
  if (dtype === 'fp32') return { dtype, reason: 'a checkpoint of full floats' };
  const isHalf = DEVICES[kindOf(device)].halfAttention;
  return { dtype, reason: isHalf ? 'a checkpoint, half floats are native' : 'a checkpoint, computed in float32' };
}

/** The plain types of GGUF files, by their names as dtypes of a checkpoint. */
const PLAIN_GGUF: ReadonlyMap<string, CheckpointDtype> = new Map([
  ['f32', 'fp32'],
  ['f16', 'fp16'],
  ['bf16', 'bf16'],
]);

/** A dtype of a GGUF file on a device. */
export interface GgufChoice extends ChosenDtype<string> {
  readonly quantize?: QuantizedAtLoad;
}

/**
 * The dtype of a GGUF file, if the device computes checkpoints and `--dtype` allows it. A file of floats is a
 * checkpoint of floats; another file has its own dtype only.
 */
export function chooseGgufDtype(device: DeviceName, choice: DtypeChoice, dtype: string): GgufChoice | undefined {
  const plain = PLAIN_GGUF.get(dtype);
  if (plain !== undefined && choice !== 'auto') return chooseCheckpoint(device, choice, plain);
  if (!runsCheckpoints(device) || choice !== 'auto') return undefined;
  return { dtype, reason: 'the weights of the GGUF file' };
}
