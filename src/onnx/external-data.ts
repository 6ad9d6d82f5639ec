/**
 * Turns the large initializers of a model into external data: references to their bytes in the file, which
 * the runtime maps. A model of any size shrinks to a few hundred kilobytes, which can be edited and passed to
 * the runtime as bytes. Pure: reads the file through an interface.
 */
import { type Field, fields, Message, type Source, writeBytes, writeNumber } from './protobuf.ts';
import { ENTRY, EXTERNAL, GRAPH, MODEL, TENSOR } from './types.ts';

/**
 * Smaller initializers stay in the graph: shapes, norms and scalars, which the runtime reads for its
 * optimizations.
 */
const MIN_MAPPED_BYTES = 64 * 1024;
/** Maximum size of the graph without weights, which is read into memory and parsed twice. */
const MAX_BYTES = 256 * 2 ** 20;

/** Weight files, as names relative to one folder. */
export interface WeightFiles {
  /** The model's own file. */
  readonly model: string;
  /** Returns the file at a location of external data in the model. */
  readonly resolve: (location: string) => string;
}

/**
 * The model with its large initializers as external data.
 * @param size size of the file in bytes.
 * @returns the ModelProto.
 * @throws Error for a file that is not a protobuf message, and for a graph of more than 256 MiB without its
 * weights.
 */
export function withExternalData(source: Source, size: number, files: WeightFiles): Uint8Array {
  let left = MAX_BYTES;
  const copy = (from: number, to: number): Uint8Array => {
    left -= to - from;
    if (left < 0) throw new Error(`More than ${MAX_BYTES} bytes of the model are no large initializers`);
    return source.bytes(from, to);
  };
  const model: Uint8Array[] = [];
  let copied = 0;
  for (const field of fields(source, 0, size)) {
    if (field.number !== MODEL.graph) continue;
    model.push(copy(copied, field.start));
    for (const piece of writeBytes(MODEL.graph, editedGraph(source, field, files, copy))) model.push(piece);
    copied = field.to;
  }
  return Buffer.concat([...model, copy(copied, size)]);
}

/** The pieces of the edited graph. The bytes between two large initializers are one piece. */
function editedGraph(
  source: Source,
  { from, to }: Field,
  files: WeightFiles,
  copy: (from: number, to: number) => Uint8Array,
): Uint8Array[] {
  const graph: Uint8Array[] = [];
  let copied = from;
  for (const part of fields(source, from, to)) {
    const tensor = part.number === GRAPH.initializer ? externalized(source, part, files) : undefined;
    if (!tensor) continue;
    graph.push(copy(copied, part.start), ...writeBytes(GRAPH.initializer, tensor));
    copied = part.to;
  }
  return [...graph, copy(copied, to)];
}

/** The initializer with external data; undefined for an initializer that does not change. */
function externalized(source: Source, { from, to }: Field, files: WeightFiles): Uint8Array[] | undefined {
  const all = [...fields(source, from, to)];
  if (all.some((field) => field.number === TENSOR.dataLocation && field.value === EXTERNAL)) {
    return all.flatMap((field) => {
      if (field.number !== TENSOR.externalData) return [source.bytes(field.start, field.to)];
      return writeBytes(TENSOR.externalData, relocated(source.bytes(field.from, field.to), files));
    });
  }
  const raw = all.find((field) => field.number === TENSOR.raw);
  if (!raw || raw.to - raw.from < MIN_MAPPED_BYTES) return undefined;
  const where = { location: files.model, offset: String(raw.from), length: String(raw.to - raw.from) };
  return [
    source.bytes(from, raw.start),
    source.bytes(raw.to, to),
    ...Object.entries(where).flatMap((pair) => writeBytes(TENSOR.externalData, entry(...pair))),
    writeNumber(TENSOR.dataLocation, EXTERNAL),
  ];
}

const entry = (key: string, value: string): Uint8Array[] => [
  ...writeBytes(ENTRY.key, key),
  ...writeBytes(ENTRY.value, [Buffer.from(value)]),
];

/** One key-value pair of external data. The value of `location` becomes the resolved file name. */
function relocated(bytes: Uint8Array, files: WeightFiles): Uint8Array[] {
  const pair = new Message(bytes);
  if (pair.text(pair.last(ENTRY.key)) !== 'location') return [bytes];
  const value = pair.last(ENTRY.value);
  const location = value ? Buffer.from(pair.content(value)).toString() : '';
  return entry('location', files.resolve(location));
}
