/** Edits of a graph, and the nodes, initializers and declarations that edits write as its fields. Pure. */

import type { ParsedModel } from '../graph.ts';
import { type Field, type Message, writeBytes, writeNumber } from '../protobuf.ts';
import { ATTRIBUTE, GRAPH, INT64, INTEGER_ATTRIBUTE, MODEL, NODE, TENSOR, VALUE } from '../types.ts';

/** Lowest version of the standard operators: the bounds of Slice are inputs from this version on. */
const MIN_OPSET = 10;
/** Lowest version of the format: from this version on, an initializer need not also be an input. */
const MIN_IR = 4;

/**
 * True if the versions of a model have the operators and the rules on which an edit relies.
 * @param least lowest version of the standard operators
 */
export function isEditable(model: Message, least = MIN_OPSET): boolean {
  const sets = model.all(MODEL.opsetImport).map((field) => model.message(field));
  const standard = sets.find((set) => ['', 'ai.onnx'].includes(set.text(set.last(MODEL.opsetDomain))));
  const opset = standard?.last(MODEL.opsetVersion)?.value ?? 0;
  return (model.last(MODEL.irVersion)?.value ?? 0) >= MIN_IR && opset >= least;
}

/** Changes of the fields of a graph. Several edits of one graph change different fields. */
export interface GraphEdit {
  /** The new bytes of a field, no bytes to remove it, or undefined to keep it. */
  readonly change: (field: Field) => readonly Uint8Array[] | undefined;
  /** More fields. */
  readonly added?: readonly Uint8Array[];
}

/**
 * A ModelProto with a changed graph. An edit that is undefined changes nothing.
 * @param parsed the model whose graph the edits have read.
 * @returns undefined if nothing changes.
 */
export function editModel(
  { root, field, graph }: ParsedModel,
  ...edits: readonly (GraphEdit | undefined)[]
): Uint8Array | undefined {
  const some = edits.filter((edit) => edit !== undefined);
  if (some.length === 0) return undefined;
  const changed = graph.message.rewrite((one) => {
    for (const { change } of some) {
      const bytes = change(one);
      if (bytes) return bytes;
    }
    return undefined;
  });
  const edited = writeBytes(MODEL.graph, [...changed, ...some.flatMap(({ added = [] }) => added)]);
  return Buffer.concat(root.rewrite((one) => (one === field ? edited : undefined)));
}

/** A node with a standard operator and without attributes, as a field of a graph. */
export function writeNode(operator: string, inputs: readonly string[], output: string): Uint8Array[] {
  const content = inputs.flatMap((input) => writeBytes(NODE.input, input));
  content.push(...writeBytes(NODE.output, output), ...writeBytes(NODE.operator, operator));
  return writeBytes(GRAPH.node, content);
}

/** A Cast node, which changes the element type of a value, as a field of a graph. */
export function writeCast(input: string, output: string, type: number): Uint8Array[] {
  const to = [
    ...writeBytes(ATTRIBUTE.name, 'to'),
    writeNumber(ATTRIBUTE.integer, type),
    writeNumber(ATTRIBUTE.type, INTEGER_ATTRIBUTE),
  ];
  const content = [...writeBytes(NODE.input, input), ...writeBytes(NODE.output, output)];
  content.push(...writeBytes(NODE.operator, 'Cast'), ...writeBytes(NODE.attribute, to));
  return writeBytes(GRAPH.node, content);
}

/**
 * A node with renamed inputs and outputs, as a field of a graph. `rename` returns undefined to keep a name.
 */
export function writeRenamed(
  node: Message,
  rename: (name: string, index: number, side: 'input' | 'output') => string | undefined,
): Uint8Array[] {
  const sides = ['input', 'output'] as const;
  const renamed = new Map(
    sides.flatMap((side) =>
      node.all(NODE[side]).flatMap((field, index): [Field, Uint8Array[]][] => {
        const name = rename(node.text(field), index, side);
        return name === undefined ? [] : [[field, writeBytes(NODE[side], name)]];
      }),
    ),
  );
  return writeBytes(
    GRAPH.node,
    node.rewrite((field) => renamed.get(field)),
  );
}

/** An initializer int64 `[1]`, as a field of a graph. */
export function writeConstant(name: string, value: bigint): Uint8Array[] {
  const data = Buffer.alloc(BigInt64Array.BYTES_PER_ELEMENT);
  data.writeBigInt64LE(value);
  const numbers = [writeNumber(TENSOR.dimensions, 1), writeNumber(TENSOR.type, INT64)];
  return writeBytes(GRAPH.initializer, [
    ...numbers,
    ...writeBytes(TENSOR.name, name),
    ...writeBytes(TENSOR.raw, [data]),
  ]);
}

/**
 * An input, as a field of a graph.
 * @param shape its dimensions; bytes are the content of a dimension of another declaration.
 */
export function writeInput(name: string, type: number, shape: readonly (number | Uint8Array)[]): Uint8Array[] {
  const dimensions = shape.flatMap((size) =>
    writeBytes(VALUE.dimension, [typeof size === 'number' ? writeNumber(VALUE.size, size) : size]),
  );
  const tensor = [writeNumber(VALUE.elementType, type), ...writeBytes(VALUE.shape, dimensions)];
  const declared = writeBytes(VALUE.type, writeBytes(VALUE.tensor, tensor));
  return writeBytes(GRAPH.input, [...writeBytes(VALUE.name, name), ...declared]);
}

/** The content of each dimension of an input or an output. */
export function dimensionsOf(declared: Message): Uint8Array[] {
  const typeField = declared.last(VALUE.type);
  const type = typeField && declared.message(typeField);
  const tensorField = type?.last(VALUE.tensor);
  const tensor = tensorField && type?.message(tensorField);
  const shapeField = tensor?.last(VALUE.shape);
  const shape = shapeField && tensor?.message(shapeField);
  return shape?.all(VALUE.dimension).map((dimension) => shape.content(dimension)) ?? [];
}

/**
 * An output with a dynamic second dimension of the name `length`, as a field of a graph.
 * @returns undefined if the output is not declared as a tensor with three dimensions.
 */
export function writeWithOpenLength(output: Message, length: string): Uint8Array[] | undefined {
  const changed = changeTensor(output, (tensor) => {
    const shapeField = tensor.last(VALUE.shape);
    const shape = shapeField && tensor.message(shapeField);
    const dimensions = shape?.all(VALUE.dimension) ?? [];
    if (!shape || dimensions.length !== 3) return undefined;
    const open = writeBytes(VALUE.dimension, writeBytes(VALUE.dimensionName, length));
    const newShape = shape.rewrite((field) => (field === dimensions[1] ? open : undefined));
    return tensor.rewrite((field) => (field === shapeField ? writeBytes(VALUE.shape, newShape) : undefined));
  });
  return changed && writeBytes(GRAPH.output, changed);
}

/**
 * An input or an output with another element type, as a field of a graph.
 * @returns undefined if the value is not declared as a tensor.
 */
export function writeWithType(
  side: typeof GRAPH.input | typeof GRAPH.output,
  value: Message,
  type: number,
): Uint8Array[] | undefined {
  const changed = changeTensor(value, (tensor) =>
    tensor.rewrite((field) =>
      field.number === VALUE.elementType ? [writeNumber(VALUE.elementType, type)] : undefined,
    ),
  );
  return changed && writeBytes(side, changed);
}

/**
 * A declaration with a changed tensor type; undefined if it declares no tensor, or if `change` returns
 * undefined.
 */
function changeTensor(value: Message, change: (tensor: Message) => Uint8Array[] | undefined): Uint8Array[] | undefined {
  const typeField = value.last(VALUE.type);
  const type = typeField && value.message(typeField);
  const tensorField = type?.last(VALUE.tensor);
  const changed = tensorField && type && change(type.message(tensorField));
  if (!changed) return undefined;
  const newType = type.rewrite((field) => (field === tensorField ? writeBytes(VALUE.tensor, changed) : undefined));
  return value.rewrite((field) => (field === typeField ? writeBytes(VALUE.type, newType) : undefined));
}
