/**
 * Reads and edits a model's graph, and opens it as a session that computes only the requested logits, takes
 * lengths instead of a mask, and maps its weights from the file. If the edit fails, opens the unchanged file
 * by its path, so that ONNX Runtime reports the fault of the file.
 */
import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { editModel } from '../../onnx/edit/graph-edit.ts';
import { halveAttention, updatedInPlace } from '../../onnx/edit/half-attention.ts';
import { lastLogitsEdit } from '../../onnx/edit/last-logits.ts';
import { lengthInputsEdit } from '../../onnx/edit/length-inputs.ts';
import { withTopLogits } from '../../onnx/edit/top-logits.ts';
import { embeddingRows } from '../../onnx/embedding.ts';
import { withExternalData } from '../../onnx/external-data.ts';
import { type Graph, nameOf, parseModel, tensorInfoOf } from '../../onnx/graph.ts';
import { Message, type Source, type Window } from '../../onnx/protobuf.ts';
import { GRAPH, type GraphIo, MODEL, type TensorInfo } from '../../onnx/types.ts';
import type { TensorNames } from '../../protocol/loading.ts';
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import { isOutOfMemory } from './error-causes.ts';
import { readSignature } from './signature.ts';

/** Bytes of one read: the fields before a tensor's data, or a dozen nodes. */
const WINDOW_BYTES = 4 * 1024;
const FOLDER_OF_WEIGHTS = 'session.model_external_initializers_file_folder_path';
/** The runtime computes larger constants in each run: by default those of more than 1 GB. */
const MAX_FOLDED_BYTES = 'optimization.constant_folding_max_output_size_in_bytes';

/** A model read from its file, before the runtime opens it. */
export interface ModelFile {
  readonly path: string;
  /** The edited graph; absent for a file that cannot be read or is not a model. */
  readonly edited?: EditedModel;
}

/** The edited graph, with its weights as external data. */
interface EditedModel extends GraphIo {
  readonly bytes: Uint8Array;
  /** The folder to which the weight file names are relative. */
  readonly folder: string;
  /**
   * Names of outputs that attention updates in place: such an output can use the memory of its cache input.
   */
  readonly updated: ReadonlySet<string>;
  /** Rows of the embedding; absent if the graph does not show them. */
  readonly embeddingRows?: number;
  /**
   * True if the runtime must open this graph: the unchanged file would compute wrong results (attention was
   * changed to half floats), or does not exist (the graph of a checkpoint).
   */
  readonly isRequired: boolean;
}

/** A model to open. */
interface OpenedFile extends ModelFile {
  /**
   * True if the unchanged file is not tried after the edited graph: after a failure, the provider of WebGPU
   * crashes when its options are used again (1.30.0). Default: false.
   */
  readonly opensOnce?: boolean;
}

/** The edits of a graph, and the files of the model. */
export interface Edits {
  /**
   * Real paths of the model's file and of its external data, which the worker has checked: no other file is
   * read, also if a link has changed since. Absent: the runtime checks that the files are in one folder.
   */
  readonly weightFiles?: readonly string[];
  /** Name of the logits output; default `logits`. */
  readonly logits?: string | undefined;
  /** Name of the input with the ids; default `input_ids`. */
  readonly inputIds?: string | undefined;
  /** Name of the input with the mask; default `attention_mask`. */
  readonly attentionMask?: string | undefined;
  /** True to change attention to half floats. */
  readonly halfAttention?: boolean;
  /** True to add the best logits of each position as outputs. */
  readonly selectsTop?: boolean;
}

/** Reads and edits the graph of a model. Never throws: the runtime reports the fault of the file. */
export function readModel(path: string, edits: Edits = {}): ModelFile {
  const { logits, inputIds = 'input_ids', attentionMask, weightFiles } = edits;
  const { halfAttention = false, selectsTop = false } = edits;
  let file: number | undefined;
  try {
    // The hub's cache consists of links, and the runtime refuses weights outside of the folder that it is
    // given.
    const realPath = (name: string): string => {
      const real = realpathSync(name);
      if (weightFiles?.includes(real) === false) throw new Error('The file is not one of the checked weight files');
      return real;
    };
    const real = realPath(path);
    const folder = commonFolder(weightFiles ?? [real]);
    const resolve = (location: string): string => relative(folder, realPath(join(dirname(path), location)));
    // Opening a pipe would wait for its writer.
    if (!statSync(real).isFile()) throw new Error('The model is not a regular file');
    file = openSync(real, 'r');
    const { size } = fstatSync(file);
    const whole = withExternalData(windowsOn(file), size, { model: relative(folder, real), resolve });
    const parsed = parseModel(whole);
    if (!parsed) return { path };
    const changed = editModel(parsed, lastLogitsEdit(parsed, logits), lengthInputsEdit(parsed, attentionMask)) ?? whole;
    const halved = halfAttention ? halveAttention(changed) : undefined;
    const plain = halved ?? changed;
    const bytes = (selectsTop ? withTopLogits(plain, { logits }) : undefined) ?? plain;
    const rows = embeddingRows(parsed.graph, inputIds);
    // The edits change neither the embedding nor the names of a cache.
    const facts = { updated: updatedInPlace(parsed.graph), ...(rows !== undefined && { embeddingRows: rows }) };
    return {
      path,
      edited: { bytes, folder, isRequired: halved !== undefined, ...facts, ...declaredBy(bytes, parsed.graph) },
    };
  } catch {
    return { path };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The deepest folder that contains all files. */
export function commonFolder([first = '', ...others]: readonly string[]): string {
  const contains = (folder: string, file: string): boolean =>
    file.startsWith(folder.endsWith(sep) ? folder : folder + sep);
  let folder = dirname(first);
  while (folder !== dirname(folder) && !others.every((file) => contains(folder, file))) folder = dirname(folder);
  return folder;
}

/**
 * The inputs and outputs that a model declares.
 * @param original the graph of the model before its edits; absent if no weight is an input.
 * @throws Error if an input or output is not a tensor with a declared shape.
 */
export function declaredBy(bytes: Uint8Array, original?: Graph): GraphIo {
  const root = new Message(bytes);
  const [field] = root.all(MODEL.graph);
  if (!field) throw new Error('The model has no graph');
  const message = root.message(field);
  const side = (number: number): TensorInfo[] =>
    message.all(number).flatMap((value) => {
      // Before version 4 of the format, weights are inputs too.
      if (number === GRAPH.input && original?.constantShape(nameOf(message, value))) return [];
      const tensor = tensorInfoOf(message, value);
      if (!tensor) throw new Error(`${nameOf(message, value)} is not a tensor of known shape`);
      return [tensor];
    });
  return { inputs: side(GRAPH.input), outputs: side(GRAPH.output) };
}

/**
 * Opens the edited graph; if that fails, the unchanged file.
 * @param sessionOptions gets an entry with the folder of the weights.
 * @returns the session; the caller releases it.
 * @throws OrtError with the runtime's message about the file.
 */
export function openModel(
  api: OrtApi,
  env: Pointer,
  sessionOptions: Pointer,
  { path, edited, opensOnce = false }: OpenedFile,
): Pointer {
  if (edited) {
    try {
      api.addSessionConfigEntry(sessionOptions, FOLDER_OF_WEIGHTS, edited.folder);
      api.addSessionConfigEntry(sessionOptions, MAX_FOLDED_BYTES, String(Number.MAX_SAFE_INTEGER));
      return api.createSessionFromArray(env, edited.bytes, edited.bytes.length, sessionOptions);
    } catch (error) {
      // After a lack of memory, a second attempt would fail too.
      if (edited.isRequired || opensOnce || (error instanceof Error && isOutOfMemory(error.message))) throw error;
      // Below, the runtime opens the unchanged file, or reports its fault.
    }
  }
  return api.createSession(env, path, sessionOptions);
}

/** True if attention updates every cache tensor in place; false for a model that could not be read. */
export function updatesInPlace({ edited }: ModelFile, names: TensorNames): boolean {
  return (
    edited !== undefined && readSignature(edited, names).caches.every(({ present }) => edited.updated.has(present))
  );
}

/**
 * Reads a file through two windows: the walk reads the bytes after a tensor's data, and then needs the bytes
 * before the data again. With two windows this takes one read per skipped tensor. The bytes of a window never
 * change, because callers keep parts of them.
 */
function windowsOn(file: number): Source {
  let near: Window = { start: 0, bytes: NOTHING };
  let far = near;
  const windowWith = (from: number, to: number): Window => {
    if (contains(near, from, to)) return near;
    const found = contains(far, from, to) ? far : { start: from, bytes: readFully(file, from, to - from) };
    far = near;
    near = found;
    return near;
  };
  return {
    window: (position) => windowWith(position, position + 1),
    bytes: (from, to) => {
      const { start, bytes } = windowWith(from, to);
      return bytes.subarray(from - start, to - start);
    },
  };
}

const NOTHING = new Uint8Array(0);
const contains = ({ start, bytes }: Window, from: number, to: number): boolean =>
  from >= start && to <= start + bytes.length;

/** Reads at least one window of bytes; fewer at the end of the file. */
function readFully(file: number, position: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(Math.max(length, WINDOW_BYTES));
  let done = 0;
  for (let count = -1; done < bytes.length && count !== 0; done += count)
    count = readSync(file, bytes, done, bytes.length - done, position + done);
  return bytes.subarray(0, done);
}
