/**
 * Constants and types of the ONNX format: field numbers of its messages, element types of tensors, inputs and
 * outputs of a graph. Pure.
 */

/** Field numbers by message: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export const MODEL = {
  irVersion: 1,
  graph: 7,
  opsetImport: 8,
  functions: 25,
  opsetDomain: 1,
  opsetVersion: 2,
} as const;
export const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const;
export const NODE = { input: 1, output: 2, name: 3, operator: 4, attribute: 5, domain: 7 } as const;
export const ATTRIBUTE = {
  name: 1,
  float: 2,
  integer: 3,
  text: 4,
  tensor: 5,
  graph: 6,
  integers: 8,
  tensors: 10,
  graphs: 11,
  type: 20,
  reference: 21,
} as const;
/** FunctionProto; `attribute` has the attributes with default values. */
export const FUNCTION = { name: 1, node: 7, domain: 10, attribute: 11 } as const;
export const TENSOR = {
  dimensions: 1,
  type: 2,
  int32s: 5,
  int64s: 7,
  name: 8,
  raw: 9,
  externalData: 13,
  dataLocation: 14,
} as const;
/** StringStringEntryProto: one pair of a tensor's external data. */
export const ENTRY = { key: 1, value: 2 } as const;
/** ValueInfoProto, and the messages inside it: TypeProto, its tensor, the shape, a dimension. */
export const VALUE = {
  name: 1,
  type: 2,
  tensor: 1,
  elementType: 1,
  shape: 2,
  dimension: 1,
  size: 1,
  dimensionName: 2,
} as const;

/** `TensorProto.DataLocation`: the data is in another file. */
export const EXTERNAL = 1;
/** `AttributeProto.AttributeType` of one float, one integer, a text, and a list of integers. */
export const FLOAT_ATTRIBUTE = 1;
export const INTEGER_ATTRIBUTE = 2;
export const TEXT_ATTRIBUTE = 3;
export const INTEGERS_ATTRIBUTE = 7;

/** Element types of a tensor: `TensorProto.DataType`, and `ONNXTensorElementDataType` of the C API. */
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
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
  17: 'float8e4m3',
  19: 'float8e5m2',
};
/** Bits of one element by its type; 0 for a string and for no type. */
export const ELEMENT_BITS: readonly number[] = [
  0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4,
];
/** Bytes of one element of the types that a cache, ids, a mask or logits can have. */
export const ELEMENT_BYTES: Readonly<Record<number, number>> = { 1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 10: 2, 16: 2 };
export const FLOAT32 = 1;
export const UINT8 = 2;
export const INT32 = 6;
export const INT64 = 7;
export const FLOAT16 = 10;
export const BFLOAT16 = 16;
export const UINT4 = 21;
export const INT4 = 22;

/** One input or output. Dynamic dimensions are -1. */
export interface TensorInfo {
  readonly name: string;
  /** An element type. */
  readonly type: number;
  readonly shape: readonly number[];
}

export interface GraphIo {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}
