/**
 * The form in which each kind of device computes a decoder: which operators, and which element type. The
 * results are the same for every form; the speed is not. Plain data.
 */
import { BFLOAT16, FLOAT16, FLOAT32 } from '../onnx/types.ts';
import type { Attribute } from '../onnx/write/model-writer.ts';
import { type DeviceKind, type IgnoredAttribute, ignoredBy } from '../protocol/devices.ts';

export interface Choices {
  /**
   * The operator of a product with a matrix `[out, in]`. `fused`: FusedMatMul, which reads the matrix as it
   * is. `transposed`: MatMul with the transposed matrix, which the runtime computes when it opens the model.
   */
  readonly product: 'fused' | 'transposed';
  /**
   * One product for queries, keys and values. On two CPU cores, one row of a float32 model of 135 M
   * parameters then takes 0.91 times as long. On WebGPU, a layer has 12 programs instead of 15: attention
   * takes the packed product apart, rotates it and appends it to the KV cache in one program. WebGPU fuses
   * separate products itself only if their weights have 4 bits.
   */
  readonly packsQkv: boolean;
  /** Element types of a checkpoint in which the device computes; other types are widened to float32. */
  readonly native: readonly number[];
  /**
   * Element types of an embedding table that is widened when the model is opened, and not behind Gather: a
   * GPU without half floats refuses to read them. A table in bfloat16 stays in memory of the host.
   */
  readonly widenedTables: readonly number[];
  /**
   * The device computes mixtures of experts. Only the CPU does: its operator QMoE was compared with numpy.
   * QMoE of WebGPU refuses zero points and routing weights, and QMoE of CUDA has other layouts.
   */
  readonly experts: boolean;
  /**
   * `accuracy_level` of MatMulNBits. 4: the product rounds the activations to 8 bits, in blocks. 0: it does
   * not round them.
   */
  readonly accuracyLevel: 0 | 4;
  /** MatMulNBits of the device adds a bias. */
  readonly addsBiasInside: boolean;
  /** Attributes that operators of the device ignore: attention that needs one is computed another way. */
  readonly ignores: readonly IgnoredAttribute[];
}

const FUSED = { product: 'fused', packsQkv: true, widenedTables: [], addsBiasInside: false, experts: false } as const;
const TRANSPOSED = { product: 'transposed', widenedTables: [FLOAT16], addsBiasInside: false, experts: false } as const;

/** The choices of each kind of device. WebGPU and Core ML have no FusedMatMul. */
export const CHOICES: Readonly<Record<DeviceKind, Choices>> = {
  cpu: {
    ...FUSED,
    experts: true,
    addsBiasInside: true,
    accuracyLevel: 4,
    native: [FLOAT32],
    ignores: ignoredBy('cpu'),
  },
  cuda: { ...FUSED, accuracyLevel: 0, native: [FLOAT32, FLOAT16, BFLOAT16], ignores: ignoredBy('cuda') },
  webgpu: { ...TRANSPOSED, accuracyLevel: 0, packsQkv: true, native: [FLOAT32], ignores: ignoredBy('webgpu') },
  coreml: { ...TRANSPOSED, accuracyLevel: 4, packsQkv: false, native: [FLOAT32], ignores: ignoredBy('coreml') },
};

/** True if the device's operator of the runtime's own domain computes all these attributes. */
export const computes = (
  { ignores }: Choices,
  operator: string,
  attributes: Readonly<Record<string, Attribute>>,
): boolean =>
  ignores.every(({ operator: ignoring, attribute, neutral }) => {
    const value = ignoring === operator ? attributes[attribute] : undefined;
    if (value === undefined) return true;
    return ('float' in value ? value.float : 'integer' in value ? value.integer : Number.NaN) === neutral;
  });
