/**
 * The form in which each kind of device computes a decoder: which operators, and which element type. The
 * results are the same for every form; the speed is not. Plain data.
 */
import { BFLOAT16, FLOAT16, FLOAT32 } from '../onnx/types.ts';
import type { DeviceKind } from '../protocol/devices.ts';

export interface Choices {
  /**
   * The operator of a product with a matrix `[out, in]`. `fused`: FusedMatMul, which reads the matrix as it
   * is. `transposed`: MatMul with the transposed matrix, which the runtime computes when it opens the model.
   */
  readonly product: 'fused' | 'transposed';
  /**
   * One product for queries, keys and values. On two CPU cores, one row of a float32 model of 135 M
   * parameters then takes 0.91 times as long. WebGPU fuses separate products itself.
   */
  readonly packsQkv: boolean;
  /** Element types of a checkpoint in which the device computes; other types are widened to float32. */
  readonly native: readonly number[];
}

const FUSED = { product: 'fused', packsQkv: true } as const;
const TRANSPOSED = { product: 'transposed', packsQkv: false } as const;

/** The choices of each kind of device. WebGPU and Core ML have no FusedMatMul. */
export const CHOICES: Readonly<Record<DeviceKind, Choices>> = {
  cpu: { ...FUSED, native: [FLOAT32] },
  cuda: { ...FUSED, native: [FLOAT32, FLOAT16, BFLOAT16] },
  webgpu: { ...TRANSPOSED, native: [FLOAT32] },
  coreml: { ...TRANSPOSED, native: [FLOAT32] },
};
