/** Models with another attribute of an operator: a copy of a real model, or the smallest graph. */
import { readFileSync, writeFileSync } from 'node:fs';
import { Message, writeBytes, writeNumber } from '../../src/onnx/protobuf.ts';
import { ATTRIBUTE, FUNCTION, GRAPH, MODEL, NODE } from '../../src/onnx/types.ts';

type Bytes = readonly Uint8Array[];

const FIXED32 = 5;
const FLOAT_ATTRIBUTE = 1;
const INTEGER_ATTRIBUTE = 2;

/** The value of an attribute: a float, an integer, graphs, or the name of an attribute of the function's call. */
export type Value =
  | { readonly float: number }
  | { readonly integer: number }
  | { readonly graphs: readonly Bytes[] }
  | { readonly reference: string };

/** An AttributeProto. */
export function attribute(name: string, value: Value): Bytes {
  return [...writeBytes(ATTRIBUTE.name, name), ...valueBytes(value)];
}

function valueBytes(value: Value): Bytes {
  if ('float' in value) {
    const data = Buffer.alloc(4);
    data.writeFloatLE(value.float);
    return [Uint8Array.of(ATTRIBUTE.float * 8 + FIXED32), data, writeNumber(ATTRIBUTE.type, FLOAT_ATTRIBUTE)];
  }
  if ('integer' in value) {
    // A negative integer has ten bytes: two's complement of 64 bits.
    const bytes = [];
    let rest = BigInt.asUintN(64, BigInt(value.integer));
    for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128);
    const data = Uint8Array.from([ATTRIBUTE.integer * 8, ...bytes, Number(rest)]);
    return [data, writeNumber(ATTRIBUTE.type, INTEGER_ATTRIBUTE)];
  }
  if ('reference' in value) return writeBytes(ATTRIBUTE.reference, value.reference);
  const [first, ...others] = value.graphs;
  return [
    ...writeBytes(ATTRIBUTE.graph, first ?? []),
    ...others.flatMap((graph) => writeBytes(ATTRIBUTE.graphs, graph)),
  ];
}

/** A NodeProto. */
export function node(domain: string, operator: string, ...attributes: readonly Bytes[]): Bytes {
  return [
    ...writeBytes(NODE.domain, domain),
    ...writeBytes(NODE.operator, operator),
    ...attributes.flatMap((one) => writeBytes(NODE.attribute, one)),
  ];
}

/** A GraphProto. */
export const graph = (...nodes: readonly Bytes[]): Bytes => nodes.flatMap((one) => writeBytes(GRAPH.node, one));

/** A FunctionProto. `defaults` are attributes with default values. */
export function functionOf(domain: string, name: string, nodes: readonly Bytes[], defaults: readonly Bytes[] = []) {
  return [
    ...writeBytes(FUNCTION.name, name),
    ...writeBytes(FUNCTION.domain, domain),
    ...nodes.flatMap((one) => writeBytes(FUNCTION.node, one)),
    ...defaults.flatMap((one) => writeBytes(FUNCTION.attribute, one)),
  ];
}

/** A ModelProto. */
export function model(main: Bytes, ...functions: readonly Bytes[]): Uint8Array {
  return Buffer.concat([
    ...writeBytes(MODEL.graph, main),
    ...functions.flatMap((one) => writeBytes(MODEL.functions, one)),
  ]);
}

/** Writes a copy of a model whose nodes of an operator have one more attribute. */
export function copyWithAttribute(from: string, to: string, operator: string, added: Bytes): void {
  const root = new Message(readFileSync(from));
  const edited = root.rewrite((field) => {
    if (field.number !== MODEL.graph) return undefined;
    const main = root.message(field);
    return writeBytes(
      MODEL.graph,
      main.rewrite((part) => {
        if (part.number !== GRAPH.node) return undefined;
        const one = main.message(part);
        if (one.text(one.last(NODE.operator)) !== operator) return undefined;
        return writeBytes(GRAPH.node, [one.bytes, ...writeBytes(NODE.attribute, added)]);
      }),
    );
  });
  writeFileSync(to, Buffer.concat(edited));
}
