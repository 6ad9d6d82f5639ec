/**
 * The types of the ONNX format: element types of tensors, and the inputs and outputs of a graph. Pure.
 */

/** Element types of a tensor, as the C API numbers them (`ONNXTensorElementDataType`). */
export const ELEMENT_TYPES: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  16: 'bfloat16',
};
/** Bytes of one element of the types that a cache, ids, a mask or logits can have. */
export const ELEMENT_BYTES: Readonly<Record<number, number>> = { 1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 10: 2, 16: 2 };
export const FLOAT32 = 1;
export const INT64 = 7;
export const FLOAT16 = 10;
export const BFLOAT16 = 16;

/** One input or output. Dimensions that the model leaves open are -1. */
export interface TensorInfo {
  readonly name: string;
  /** `ONNXTensorElementDataType`. */
  readonly type: number;
  readonly shape: readonly number[];
}

export interface GraphIo {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}
