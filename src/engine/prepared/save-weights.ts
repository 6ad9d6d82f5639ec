/**
 * Saves the weights of a model in the order of the runtime's matrix products: the runtime opens the model,
 * and writes its optimized graph and its prepacked weights. Weights that the sources contain too are then
 * read from there, and their place in the file becomes a hole.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { parseModel } from '../../onnx/graph.ts';
import { type ByteRange, type ExternalTensor, externalTensors, withPlaces } from '../../onnx/saved/external-tensors.ts';
import { SAVED, type SavedWeights } from '../../protocol/host/weights-cache.ts';
import type { TensorNames } from '../../protocol/loading.ts';
import type { Device } from '../devices/device.ts';
import type { Pointer } from '../ffi.ts';
import { punchHole } from '../host/file-hole.ts';
import { logitsOfPrompt, PROMPT_LENGTH } from '../load/numeric-check.ts';
import type { OrtApi } from '../ort/api.ts';
import { commonFolder, type ModelFile } from '../ort/model-file.ts';
import { Session } from '../ort/session.ts';
import { flush, type WeightsFolder } from './weights-folder.ts';

/** The operators whose prepacked weights are saved and read correctly. */
const OPERATORS: readonly string[] = ['MatMul', 'FusedMatMul', 'Gemm', 'MatMulNBits'];
/** Smaller initializers stay in the graph. */
const LEAST_EXTERNAL_BYTES = 1024;
const COMPARED_BYTES = 4 * 2 ** 20;
/** Bytes of the largest vector of a processor. */
const ALIGNMENT = 64;
/** The graph that the runtime writes, before its places are changed. */
const WRITTEN_GRAPH = 'written.onnx';

/** A model whose weights are to be saved. */
export interface SavedModel {
  readonly api: OrtApi;
  readonly model: Required<ModelFile>;
  readonly device: Device;
  readonly names: TensorNames;
  readonly threads: number;
  /** Real paths. */
  readonly weightFiles: readonly string[];
  /** For tests: other operators whose prepacked weights are accepted, and smaller weights in the file. */
  readonly forced?: {
    readonly operators: readonly string[];
    readonly leastExternalBytes: number;
    /** Prepacked forms stay where the runtime has written them. */
    readonly keepsOffsets?: boolean;
  };
}

/** The saved weights cannot be used, and would be the same at the next attempt. */
export class UnusableWeights extends Error {
  override readonly name = 'UnusableWeights';
}

/**
 * Fills the folder of a key, all but the manifest.
 * @throws UnusableWeights; OrtError with the runtime's message, and errors of the file system
 */
export function saveWeights(source: SavedModel, folder: WeightsFolder): SavedWeights {
  const logits = writeByRuntime(source, folder);
  const written = join(folder.path, WRITTEN_GRAPH);
  const graph = readFileSync(written);
  const tensors = externalTensors(graph);
  requireKnown(tensors, source.forced?.operators ?? OPERATORS);
  const aligned = alignPrepacked(source.forced?.keepsOffsets === true ? [] : tensors, folder.file('weights'));
  const { bytes, holes: linked, mappedSources } = withSources(graph, { tensors, aligned }, source, folder);
  const holes = [...linked, ...aligned.holes];
  for (const hole of holes) punchHole(folder.file('weights'), hole.offset, hole.bytes);
  flush(folder.file('weights'));
  writeFileSync(folder.file('graph'), bytes, { flush: true });
  writeFileSync(folder.file('logits'), bytesOf(logits), { flush: true });
  rmSync(written);
  const fileBytes = statSync(folder.file('weights')).size;
  return {
    fileBytes,
    parts: partsWithout(holes, fileBytes),
    mappedBytes: mappedBytesOf(graph, tensors),
    openingBytes: Math.max(0, ...tensors.map(prepackedBytes)),
    mappedSources,
    digest: folder.digest(),
  };
}

/**
 * The graph and the weights as the runtime writes them. @returns the logits of the session that wrote them
 */
function writeByRuntime(source: SavedModel, folder: WeightsFolder): Float32Array {
  const { api, model, device, names, threads, forced } = source;
  const least = forced?.leastExternalBytes ?? LEAST_EXTERNAL_BYTES;
  const configure = (_: OrtApi, options: Pointer): void => {
    api.setOptimizedModelFilePath(options, join(folder.path, WRITTEN_GRAPH));
    for (const [key, value] of [
      ['session.save_external_prepacked_constant_initializers', '1'],
      ['session.optimized_model_external_initializers_file_name', SAVED.weights],
      ['session.optimized_model_external_initializers_min_size_in_bytes', String(least)],
    ] as const)
      api.addSessionConfigEntry(options, key, value);
  };
  // The runtime would warn that the graph is for this processor only.
  const session = Session.open(api, model, device, { names, threads, configure, logsErrorsOnly: true });
  try {
    session.reserve({ rows: 1, capacity: PROMPT_LENGTH, chunk: PROMPT_LENGTH, keep: 1 });
    return logitsOfPrompt(session, PROMPT_LENGTH);
  } finally {
    session.close();
  }
}

function requireKnown(tensors: readonly ExternalTensor[], operators: readonly string[]): void {
  const prepacked = tensors.flatMap((tensor) => tensor.prepacked);
  const unknown = prepacked.find(({ operator }) => !operators.includes(operator));
  if (unknown) throw new UnusableWeights(`the runtime prepacks ${unknown.operator}, which is not tested`);
  if (prepacked.length === 0) throw new UnusableWeights('the runtime prepacks no weights of this model');
}

/** The graph with places in the sources. */
interface Linked {
  readonly bytes: Uint8Array;
  /** Ranges of the file with the weights that nobody reads any more. */
  readonly holes: readonly ByteRange[];
  readonly mappedSources: readonly string[];
}

/**
 * Links prepacked weights to their bytes in the sources. The runtime reads these bytes while it opens the
 * model, to find the prepacked form by its content.
 */
function withSources(
  graph: Uint8Array,
  { tensors, aligned }: { readonly tensors: readonly ExternalTensor[]; readonly aligned: Aligned },
  { model, weightFiles }: SavedModel,
  folder: WeightsFolder,
): Linked {
  const { bytes, folder: sourceFolder } = model.edited;
  const sources = new Map(externalTensors(bytes).map((tensor) => [tensor.name, tensor]));
  const weights = folder.file('weights');
  const found = new Map<string, { readonly path: string; readonly offset: number }>();
  for (const tensor of tensors) {
    const source = sources.get(tensor.name);
    const path = source && join(sourceFolder, Buffer.from(source.location, 'latin1').toString());
    if (!source || path === undefined || !weightFiles.includes(path) || source.type !== tensor.type) continue;
    if (source.bytes !== tensor.bytes || String(source.shape) !== String(tensor.shape)) continue;
    if (haveSameBytes({ path: weights, offset: tensor.offset }, { path, offset: source.offset }, tensor.bytes))
      found.set(tensor.name, { path, offset: source.offset });
  }
  const [host] = tensors.filter(({ name }) => !found.has(name));
  const kept = host ?? tensors[0];
  if (!kept) throw new UnusableWeights('the graph has no weights in files');
  found.delete(kept.name);
  const mappedSources = [...new Set([...found.values()].map(({ path }) => path))];
  const common = commonFolder([weights, ...mappedSources]);
  const placeIn = (path: string, offset: number) => ({ location: latin(relative(common, path)), offset });
  const linked = withPlaces(graph, {
    placeOf: ({ name }) => {
      const source = found.get(name);
      return source && placeIn(source.path, source.offset);
    },
    host: kept.name,
    location: latin(relative(common, weights)),
    offsetOf: (offset) => aligned.offsets.get(offset) ?? offset,
  });
  return { bytes: linked, holes: tensors.filter(({ name }) => found.has(name)), mappedSources };
}

/** Prepacked forms that have moved. */
interface Aligned {
  /** The new offset by the offset before. */
  readonly offsets: ReadonlyMap<number, number>;
  /** The ranges before. */
  readonly holes: readonly ByteRange[];
}

/**
 * Moves prepacked forms that the runtime has written at odd offsets to the end of the file. The products read
 * them with instructions that end the process for an address that is not aligned (`vmovaps`).
 */
function alignPrepacked(tensors: readonly ExternalTensor[], path: string): Aligned {
  const ranges = tensors.flatMap(({ prepacked }) => prepacked.flatMap((form) => form.ranges));
  const holes = ranges.filter(({ offset }) => offset % ALIGNMENT !== 0);
  const offsets = new Map<number, number>();
  const file = openSync(path, 'r+');
  try {
    for (const { offset, bytes } of holes) {
      const end = Math.ceil(fstatSync(file).size / ALIGNMENT) * ALIGNMENT;
      const buffer = Buffer.allocUnsafe(Math.min(COMPARED_BYTES, bytes));
      for (let done = 0; done < bytes; ) {
        const count = readSync(file, buffer, 0, Math.min(buffer.length, bytes - done), offset + done);
        if (count === 0) throw new Error('The file of the weights is shorter than its graph says');
        writeFully(file, buffer.subarray(0, count), end + done);
        done += count;
      }
      offsets.set(offset, end);
    }
  } finally {
    closeSync(file);
  }
  return { offsets, holes };
}

/** A write can end early, for example at the end of the disk. */
function writeFully(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, position + done);
}

/** The parts of a file between holes. */
function partsWithout(holes: readonly ByteRange[], fileBytes: number): [offset: number, bytes: number][] {
  const parts: [number, number][] = [];
  let from = 0;
  for (const { offset, bytes } of [...holes].sort((one, other) => one.offset - other.offset)) {
    if (offset > from) parts.push([from, offset - from]);
    from = offset + bytes;
  }
  return fileBytes > from ? [...parts, [from, fileBytes - from]] : parts;
}

/** Texts of a model have one character per byte. */
const latin = (path: string): string => Buffer.from(path).toString('latin1');

interface Place {
  readonly path: string;
  readonly offset: number;
}

/** True if two files have the same bytes at two places. */
function haveSameBytes(one: Place, other: Place, bytes: number): boolean {
  const files = [one, other].map(({ path }) => openSync(path, constants.O_RDONLY));
  try {
    const [buffer, compared] = [Buffer.allocUnsafe(COMPARED_BYTES), Buffer.allocUnsafe(COMPARED_BYTES)];
    for (let done = 0; done < bytes; done += COMPARED_BYTES) {
      const length = Math.min(COMPARED_BYTES, bytes - done);
      const count = readSync(files[0] ?? -1, buffer, 0, length, one.offset + done);
      if (count !== length || readSync(files[1] ?? -1, compared, 0, length, other.offset + done) !== length)
        return false;
      if (buffer.compare(compared, 0, length, 0, length) !== 0) return false;
    }
    return true;
  } finally {
    for (const file of files) closeSync(file);
  }
}

const prepackedBytes = ({ prepacked }: ExternalTensor): number =>
  prepacked.reduce((sum, { ranges }) => sum + ranges.reduce((all, { bytes }) => all + bytes, 0), 0);

/** The bytes that runs read: prepacked forms, and weights that an operator reads as they are. */
function mappedBytesOf(graph: Uint8Array, tensors: readonly ExternalTensor[]): number {
  const nodes = parseModel(graph)?.graph.nodes ?? [];
  const readAsIs = new Set(nodes.flatMap(({ operator, inputs }) => (OPERATORS.includes(operator) ? [] : inputs)));
  return tensors.reduce(
    (sum, tensor) =>
      sum + prepackedBytes(tensor) + (tensor.prepacked.length === 0 || readAsIs.has(tensor.name) ? tensor.bytes : 0),
    0,
  );
}

const bytesOf = (logits: Float32Array): Uint8Array =>
  new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);

/** The folder to which the places in a saved graph are relative. */
export const folderOfPlaces = (folder: WeightsFolder, { mappedSources }: SavedWeights): string =>
  commonFolder([folder.file('weights'), ...mappedSources]);
