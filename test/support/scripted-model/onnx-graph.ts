/** Writes a small ONNX graph that a runtime can run: nodes, constants, inputs and outputs. */
import { writeBytes, writeNumber } from '../../../src/onnx/protobuf.ts';
import {
  ATTRIBUTE,
  FLOAT32,
  GRAPH,
  INT64,
  INTEGER_ATTRIBUTE,
  MODEL,
  NODE,
  TENSOR,
  VALUE,
} from '../../../src/onnx/types.ts';

/** Version of the format, and of the standard operators: the axes of ReduceMax are an input from 18 on. */
const IR_VERSION = 8;
const OPSET = 18;

export class OnnxGraph {
  readonly #fields: Uint8Array[] = [];
  #names = 0;

  /**
   * Adds a node with one output.
   * @param attributes integers by name
   * @returns the name of its output: `output`, or a new name
   */
  node(
    operator: string,
    inputs: readonly string[],
    { output = `value_${++this.#names}`, ...attributes }: { output?: string } & Readonly<Record<string, unknown>> = {},
  ): string {
    const content = inputs.flatMap((input) => writeBytes(NODE.input, input));
    content.push(...writeBytes(NODE.output, output), ...writeBytes(NODE.operator, operator));
    for (const [name, value] of Object.entries(attributes))
      content.push(
        ...writeBytes(NODE.attribute, [
          ...writeBytes(ATTRIBUTE.name, name),
          writeNumber(ATTRIBUTE.integer, Number(value)),
          writeNumber(ATTRIBUTE.type, INTEGER_ATTRIBUTE),
        ]),
      );
    this.#fields.push(...writeBytes(GRAPH.node, content));
    return output;
  }

  /** A constant int64: a list has the shape `[n]`, a number has the shape `[]`. @returns its name */
  integers(value: number | readonly number[]): string {
    const data = Buffer.from(BigInt64Array.from([value].flat(), BigInt).buffer);
    return this.#constant(INT64, value, data);
  }

  /** A constant float32, as `integers`. */
  floats(value: number | readonly number[]): string {
    return this.#constant(FLOAT32, value, Buffer.from(Float32Array.from([value].flat()).buffer));
  }

  #constant(type: number, value: number | readonly number[], data: Buffer): string {
    const name = `constant_${++this.#names}`;
    const dimensions = typeof value === 'number' ? [] : [writeNumber(TENSOR.dimensions, value.length)];
    const content = [...dimensions, writeNumber(TENSOR.type, type), ...writeBytes(TENSOR.name, name)];
    this.#fields.push(...writeBytes(GRAPH.initializer, [...content, ...writeBytes(TENSOR.raw, [data])]));
    return name;
  }

  /** Declares an input. A dimension with a name has no fixed size. @returns its name */
  input(name: string, type: number, shape: readonly (number | string)[]): string {
    return this.#declare(GRAPH.input, name, type, shape);
  }

  output(name: string, type: number, shape: readonly (number | string)[]): void {
    this.#declare(GRAPH.output, name, type, shape);
  }

  #declare(side: number, name: string, type: number, shape: readonly (number | string)[]): string {
    const dimensions = shape.flatMap((size) =>
      writeBytes(
        VALUE.dimension,
        typeof size === 'number' ? [writeNumber(VALUE.size, size)] : writeBytes(VALUE.dimensionName, size),
      ),
    );
    const tensor = [writeNumber(VALUE.elementType, type), ...writeBytes(VALUE.shape, dimensions)];
    const declared = writeBytes(VALUE.type, writeBytes(VALUE.tensor, tensor));
    this.#fields.push(...writeBytes(side, [...writeBytes(VALUE.name, name), ...declared]));
    return name;
  }

  /** The graph as a ModelProto. */
  bytes(): Buffer {
    return Buffer.concat([
      writeNumber(MODEL.irVersion, IR_VERSION),
      ...writeBytes(MODEL.graph, [...writeBytes(GRAPH_NAME, 'scripted'), ...this.#fields]),
      ...writeBytes(MODEL.opsetImport, [...writeBytes(MODEL.opsetDomain, ''), writeNumber(MODEL.opsetVersion, OPSET)]),
    ]);
  }
}

/** Field number of a graph's name, which the runtime requires. */
const GRAPH_NAME = 2;
