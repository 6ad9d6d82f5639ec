/**
 * A model's graph without its weights: every large initializer becomes a reference into the file that it lies in, which the runtime maps.
 * What is left of a model of any size is some hundred kilobytes, which can be edited and given to the runtime as bytes. Pure: the file is
 * read through an interface.
 */
import { type Field, fields, Message, type Source, writeBytes, writeNumber } from './protobuf.ts';

/** Smaller tensors stay in the graph: shapes, norms and scalars, which the runtime wants to see when it optimizes. */
const LEAST_MAPPED_BYTES = 64 * 1024;
/** Of what is left: read into memory and parsed twice. */
const MOST_BYTES = 256 * 2 ** 20;

/** Fields of onnx.proto, ModelProto → GraphProto → TensorProto. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_RAW_DATA = 9;
const TENSOR_EXTERNAL_DATA = 13;
const TENSOR_DATA_LOCATION = 14;
const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;
const EXTERNAL = 1;

/** Where weights lie, as file names relative to one folder. */
export interface WeightFiles {
  /** The model's own file. */
  readonly model: string;
  /** The file that the model names for weights outside of it. */
  readonly resolve: (location: string) => string;
}

/**
 * @param size bytes of the file.
 * @returns the ModelProto.
 * @throws Error for a file that is no protobuf message, and when more than 256 MiB are left.
 */
export function withExternalData(source: Source, size: number, places: WeightFiles): Uint8Array {
  let left = MOST_BYTES;
  const copy = (from: number, to: number): Uint8Array => {
    left -= to - from;
    if (left < 0) throw new Error(`More than ${MOST_BYTES} bytes of the model are no large initializers`);
    return source.bytes(from, to);
  };
  const model: Uint8Array[] = [];
  let copied = 0;
  for (const field of fields(source, 0, size)) {
    if (field.number !== MODEL_GRAPH) continue;
    model.push(copy(copied, field.start));
    for (const piece of writeBytes(MODEL_GRAPH, lightGraph(source, field, places, copy))) model.push(piece);
    copied = field.to;
  }
  return Buffer.concat([...model, copy(copied, size)]);
}

/** What lies between two large tensors is copied in one piece. */
function lightGraph(
  source: Source,
  { from, to }: Field,
  places: WeightFiles,
  copy: (from: number, to: number) => Uint8Array,
): Uint8Array[] {
  const graph: Uint8Array[] = [];
  let copied = from;
  for (const part of fields(source, from, to)) {
    const tensor = part.number === GRAPH_INITIALIZER ? mapped(source, part, places) : undefined;
    if (!tensor) continue;
    graph.push(copy(copied, part.start), ...writeBytes(GRAPH_INITIALIZER, tensor));
    copied = part.to;
  }
  return [...graph, copy(copied, to)];
}

/** The tensor with its data in a file; undefined for one that stays as it is. */
function mapped(source: Source, { from, to }: Field, places: WeightFiles): Uint8Array[] | undefined {
  const all = [...fields(source, from, to)];
  if (all.some((field) => field.number === TENSOR_DATA_LOCATION && field.value === EXTERNAL)) {
    return all.flatMap((field) => {
      if (field.number !== TENSOR_EXTERNAL_DATA) return [source.bytes(field.start, field.to)];
      return writeBytes(TENSOR_EXTERNAL_DATA, relocated(source.bytes(field.from, field.to), places));
    });
  }
  const raw = all.find((field) => field.number === TENSOR_RAW_DATA);
  if (!raw || raw.to - raw.from < LEAST_MAPPED_BYTES) return undefined;
  const where = { location: places.model, offset: String(raw.from), length: String(raw.to - raw.from) };
  return [
    source.bytes(from, raw.start),
    source.bytes(raw.to, to),
    ...Object.entries(where).flatMap((pair) => writeBytes(TENSOR_EXTERNAL_DATA, entry(...pair))),
    writeNumber(TENSOR_DATA_LOCATION, EXTERNAL),
  ];
}

const entry = (key: string, value: string): Uint8Array[] => [
  ...writeBytes(ENTRY_KEY, key),
  ...writeBytes(ENTRY_VALUE, [Buffer.from(value)]),
];

/** One pair of an initializer's external data; a location is said relative to the folder that the runtime will look in. */
function relocated(bytes: Uint8Array, places: WeightFiles): Uint8Array[] {
  const pair = new Message(bytes);
  if (pair.text(pair.last(ENTRY_KEY)) !== 'location') return [bytes];
  const value = pair.last(ENTRY_VALUE);
  const location = value ? Buffer.from(pair.content(value)).toString() : '';
  return entry('location', places.resolve(location));
}
