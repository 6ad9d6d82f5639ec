/**
 * A graph that copies the first elements of a tensor along one axis to a tensor of another size, so that the
 * provider of a device can copy in its own memory. Pure.
 */
import { writeConstant, writeNode } from './edit/graph-edit.ts';
import { writeBytes, writeNumber } from './protobuf.ts';
import { GRAPH, INT64, MODEL, VALUE } from './types.ts';

/** The version of the ONNX format that has the operators, and the version of the operators. */
const IR_VERSION = 8;
const OPSET = 17;

/** The inputs and the output of the graph. */
export const COPY = {
  /** The tensor to copy from. */
  source: 'source',
  /** int64 `[1]`: number of elements to copy. */
  count: 'count',
  /** int64 `[2 × rank]`: elements to add before and after each axis, to reach the size of the target. */
  padding: 'padding',
  target: 'target',
} as const;

/**
 * The bytes of the model: target = Pad(Slice(source, 0, count), padding).
 * @param type element type of source and target
 */
export function copyGraph(type: number, axis: number): Uint8Array {
  const graph = [
    ...writeNode('Slice', [COPY.source, 'start', COPY.count, 'axis'], 'part'),
    ...writeNode('Pad', ['part', COPY.padding], COPY.target),
    ...writeConstant('start', 0n),
    ...writeConstant('axis', BigInt(axis)),
    ...value(GRAPH.input, COPY.source, type),
    ...value(GRAPH.input, COPY.count, INT64),
    ...value(GRAPH.input, COPY.padding, INT64),
    ...value(GRAPH.output, COPY.target, type),
  ];
  return Buffer.concat([
    writeNumber(MODEL.irVersion, IR_VERSION),
    ...writeBytes(MODEL.opsetImport, [writeNumber(MODEL.opsetVersion, OPSET)]),
    ...writeBytes(MODEL.graph, graph),
  ]);
}

/** A tensor of any shape. */
function value(side: typeof GRAPH.input | typeof GRAPH.output, name: string, type: number): Uint8Array[] {
  const tensor = writeBytes(VALUE.tensor, [writeNumber(VALUE.elementType, type)]);
  return writeBytes(side, [...writeBytes(VALUE.name, name), ...writeBytes(VALUE.type, tensor)]);
}
