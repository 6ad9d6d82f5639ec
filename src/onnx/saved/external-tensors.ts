/**
 * The weights of a graph that are bytes of files: reads their places, and changes them. Knows the entries in
 * which ONNX Runtime saves prepacked weights: a matrix in the order of its matrix products. Pure.
 */
import { Message, writeBytes } from '../protobuf.ts';
import { ENTRY, GRAPH, MODEL, TENSOR } from '../types.ts';

/** A range of bytes in a file. */
export interface ByteRange {
  readonly offset: number;
  readonly bytes: number;
}

/** The prepacked forms of one weight for one kind of operator. */
export interface PrepackedWeight {
  /** Such as `MatMul`. */
  readonly operator: string;
  /** In the file of the initializer that has the entry. */
  readonly ranges: readonly ByteRange[];
}

/** An initializer with its bytes in a file. */
export interface ExternalTensor extends ByteRange {
  readonly name: string;
  /** An element type. */
  readonly type: number;
  readonly shape: readonly number[];
  /** Name of the file. */
  readonly location: string;
  readonly prepacked: readonly PrepackedWeight[];
}

/** A new place of the bytes of an initializer. */
export interface NewPlace {
  readonly location: string;
  readonly offset: number;
}

/**
 * Key of the entry `prepacked_0`, `prepacked_1`, …, and its value `MatMul+<hash>|offset;length;checksum|…`.
 */
const PREPACKED = 'prepacked_';

/** The initializers of a model that are bytes of files. @throws Error for bytes that are not a model */
export function externalTensors(model: Uint8Array): ExternalTensor[] {
  const root = new Message(model);
  return root.all(MODEL.graph).flatMap((field) => {
    const graph = root.message(field);
    return graph.all(GRAPH.initializer).flatMap((initializer) => tensorIn(graph.message(initializer)) ?? []);
  });
}

function tensorIn(tensor: Message): ExternalTensor | undefined {
  const entries = new Map(entriesOf(tensor));
  const location = entries.get('location');
  if (location === undefined) return undefined;
  return {
    name: tensor.text(tensor.last(TENSOR.name)),
    type: tensor.last(TENSOR.type)?.value ?? 0,
    shape: tensor.numbers(TENSOR.dimensions),
    location,
    offset: Number(entries.get('offset') ?? 0),
    bytes: Number(entries.get('length') ?? 0),
    prepacked: [...entries].flatMap(([key, value]) => (key.startsWith(PREPACKED) ? prepackedIn(value) : [])),
  };
}

/** Texts have one character per byte, as in `Message.text`. */
const entriesOf = (tensor: Message): [string, string][] =>
  tensor.all(TENSOR.externalData).map((field) => {
    const pair = tensor.message(field);
    return [pair.text(pair.last(ENTRY.key)), pair.text(pair.last(ENTRY.value))];
  });

function prepackedIn(value: string): PrepackedWeight {
  const [key = '', ...blobs] = value.split('|');
  const ranges = blobs.map((blob) => {
    const [offset, bytes] = blob.split(';').map(Number);
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(bytes))
      throw new Error(`Not the place of a prepacked weight: ${blob}`);
    return { offset: offset ?? 0, bytes: bytes ?? 0 };
  });
  return { operator: key.split('+')[0] ?? '', ranges };
}

/** Changes of places. */
export interface Relocation {
  /** The new place of an initializer; undefined for one that keeps its place. */
  readonly placeOf: (tensor: ExternalTensor) => NewPlace | undefined;
  /**
   * Name of an initializer that keeps its place. It gets the prepacked forms of the moved ones: they lie in
   * its file, and the runtime finds them by their content.
   */
  readonly host: string;
  /** The name of the file of all initializers that keep their place. */
  readonly location: string;
  /** The offset of a prepacked form, by the offset before. */
  readonly offsetOf: (offset: number) => number;
}

/** The model with other places of its external initializers. @throws Error for bytes that are not a model */
export function withPlaces(model: Uint8Array, { placeOf, host, location, offsetOf }: Relocation): Uint8Array {
  const root = new Message(model);
  return Buffer.concat(
    root.rewrite((field) => {
      if (field.number !== MODEL.graph) return undefined;
      const graph = root.message(field);
      const places = new Map<number, NewPlace>();
      const prepacked: string[] = [];
      for (const part of graph.all(GRAPH.initializer)) {
        const tensor = graph.message(part);
        const found = tensorIn(tensor);
        const place = found && placeOf(found);
        if (!place) continue;
        places.set(part.start, place);
        for (const [key, value] of entriesOf(tensor))
          if (key.startsWith(PREPACKED)) prepacked.push(withOffsets(value, offsetOf));
      }
      const changed = graph.rewrite((part) => {
        if (part.number !== GRAPH.initializer) return undefined;
        const tensor = graph.message(part);
        const place = places.get(part.start);
        if (place) return writeBytes(GRAPH.initializer, moved(tensor, place));
        if (!tensorIn(tensor)) return undefined;
        const kept = inFile(tensor, location, offsetOf);
        const isHost = tensor.text(tensor.last(TENSOR.name)) === host;
        return writeBytes(GRAPH.initializer, isHost ? [...kept, ...prepackedEntries(tensor, prepacked)] : kept);
      });
      return writeBytes(MODEL.graph, changed);
    }),
  );
}

/** The tensor with its bytes at another place, and without its prepacked forms. */
function moved(tensor: Message, { location, offset }: NewPlace): Uint8Array[] {
  return withEntries(tensor, (key) => {
    if (key.startsWith(PREPACKED)) return [];
    if (key === 'location') return writeEntry(key, location);
    return key === 'offset' ? writeEntry(key, String(offset)) : undefined;
  });
}

/** The tensor with another name of its file, and other offsets of its prepacked forms. */
const inFile = (tensor: Message, location: string, offsetOf: Relocation['offsetOf']): Uint8Array[] =>
  withEntries(tensor, (key, value) => {
    if (key === 'location') return writeEntry(key, location);
    return key.startsWith(PREPACKED) ? writeEntry(key, withOffsets(value, offsetOf)) : undefined;
  });

/** The value of an entry of prepacked forms with other offsets. */
function withOffsets(value: string, offsetOf: Relocation['offsetOf']): string {
  const [key, ...blobs] = value.split('|');
  const moved = blobs.map((blob) => {
    const [offset, ...rest] = blob.split(';');
    return [offsetOf(Number(offset)), ...rest].join(';');
  });
  return [key, ...moved].join('|');
}

function withEntries(tensor: Message, change: (key: string, value: string) => Uint8Array[] | undefined): Uint8Array[] {
  return tensor.rewrite((field) => {
    if (field.number !== TENSOR.externalData) return undefined;
    const pair = tensor.message(field);
    return change(pair.text(pair.last(ENTRY.key)), pair.text(pair.last(ENTRY.value)));
  });
}

function prepackedEntries(host: Message, values: readonly string[]): Uint8Array[] {
  const own = entriesOf(host).filter(([key]) => key.startsWith(PREPACKED)).length;
  return values.flatMap((value, index) => writeEntry(`${PREPACKED}${own + index}`, value));
}

const writeEntry = (key: string, value: string): Uint8Array[] =>
  writeBytes(TENSOR.externalData, [...writeBytes(ENTRY.key, key), ...writeBytes(ENTRY.value, value)]);
