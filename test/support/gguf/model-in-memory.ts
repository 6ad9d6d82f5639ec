/** A GGUF model as its reader returns it, without a file. */

import type { GgufModel, MetadataValue } from '../../../src/model/checkpoint/gguf/gguf-file.ts';
import { FLOAT32 } from '../../../src/onnx/types.ts';
import type { TensorPlace } from '../../../src/protocol/decoder/decoder-spec.ts';
import type { TestGguf, TestValue } from './gguf-bytes.ts';

const FACTORS = /^rope_(?:freqs|factors_(?:long|short))\.weight$/;

/** The model of a described file with float32 tensors. */
export function modelInMemory({ metadata = {}, tensors = {} }: TestGguf): GgufModel {
  const places = new Map<string, TensorPlace>();
  const ropeFactors = new Map<string, Float32Array>();
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const bytes = 4 * shape.reduce((product, size) => product * size, 1);
    places.set(name, { file: 0, offset, bytes, type: FLOAT32, shape });
    if (FACTORS.test(name) && data) ropeFactors.set(name, new Float32Array(data.slice().buffer));
    offset += bytes;
  }
  return {
    modelFile: '/models/model.gguf',
    files: ['/models/model.gguf'],
    metadata: new Map(Object.entries(metadata).map(([key, value]) => [key, plain(value)])),
    tensors: places,
    ropeFactors,
    bytes: offset,
    dtype: 'f32',
  };
}

function plain(value: TestValue): MetadataValue {
  if (typeof value !== 'object' || !('type' in value)) return value as MetadataValue;
  if (value.type === 'float32') return Math.fround(Number(value.value));
  return (value.of === 'bool' ? Uint8Array.from(value.value as boolean[], Number) : value.value) as MetadataValue;
}
