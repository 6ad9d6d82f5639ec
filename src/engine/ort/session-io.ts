/** Reads the names, types and shapes of a model's inputs and outputs from an open session. */

import type { GraphIo, TensorInfo } from '../../onnx/types.ts';
import { type Pointer, readText } from '../ffi.ts';
import type { OrtApi } from './api.ts';

/**
 * The inputs and outputs of an open session, in the model's order. @throws Error for a value that is not a
 * tensor; OrtError.
 */
export function readSessionIo(api: OrtApi, session: Pointer): GraphIo {
  return { inputs: readSide(api, session, true), outputs: readSide(api, session, false) };
}

function readSide(api: OrtApi, session: Pointer, inputs: boolean): TensorInfo[] {
  const count = inputs ? api.sessionGetInputCount(session) : api.sessionGetOutputCount(session);
  const allocator = api.getAllocatorWithDefaultOptions();
  return Array.from({ length: Number(count) }, (_, index) => {
    const text = (inputs ? api.sessionGetInputName : api.sessionGetOutputName)(session, index, allocator);
    const name = readText(text);
    api.allocatorFree(allocator, text);
    const info = (inputs ? api.sessionGetInputTypeInfo : api.sessionGetOutputTypeInfo)(session, index);
    try {
      return { name, ...readTensorInfo(api, info, name) };
    } finally {
      api.releaseTypeInfo(info);
    }
  });
}

/** Element type and dimensions. The tensor's info belongs to `info` and is not released separately. */
function readTensorInfo(api: OrtApi, info: Pointer, name: string): Omit<TensorInfo, 'name'> {
  const tensor = api.castTypeInfoToTensorInfo(info);
  if (!tensor) throw new Error(`${name} is not a tensor`);
  const type = api.getTensorElementType(tensor);
  const rank = Number(api.getDimensionsCount(tensor));
  const dimensions = new BigInt64Array(rank);
  api.getDimensions(tensor, dimensions, rank);
  return { type, shape: Array.from(dimensions, Number) };
}
