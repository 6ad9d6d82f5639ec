/**
 * Opens a model's file as a session that computes only the logits asked for and maps its weights from the file. What it cannot do that
 * with is opened by its path, as it is: the runtime alone says what is wrong with a file.
 */
import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { withExternalData } from '../../onnx/external-data.ts';
import { GRAPH, Graph, MODEL, nameOf, portOf } from '../../onnx/graph.ts';
import { halveAttention, updatedInPlace } from '../../onnx/half-attention.ts';
import { keepLastLogits } from '../../onnx/last-logits.ts';
import { Message, type Source } from '../../onnx/protobuf.ts';
import type { GraphIo, TensorInfo } from '../../onnx/types.ts';
import type { TensorNames } from '../../protocol/loading.ts';
import type { Pointer } from '../ffi.ts';
import type { OrtApi } from './api.ts';
import { isOutOfMemory } from './error-causes.ts';
import { readSignature } from './signature.ts';

/** Read at once: the head of a tensor, or a dozen nodes. */
const WINDOW_BYTES = 4 * 1024;
const FOLDER_OF_WEIGHTS = 'session.model_external_initializers_file_folder_path';

/** A model as its file tells it, before the runtime has seen it. */
export interface ModelFile {
  readonly path: string;
  /** What could be read of it; absent for a file that cannot be read or is no model. */
  readonly light?: LightModel;
}

/** The graph without its weights, edited: logits of the last positions only. */
interface LightModel extends GraphIo {
  readonly bytes: Uint8Array;
  /** The folder that the weights are named in. */
  readonly folder: string;
  /** Outputs that are the cache that went in, with something appended: their memory can be the same. */
  readonly updated: ReadonlySet<string>;
  /** Attention was made to be over half floats. */
  readonly halved: boolean;
}

/** How a graph is to be edited. */
export interface Edits {
  /** Name of the output of logits; `logits` where no configuration says another. */
  readonly logits?: string | undefined;
  /** Whether attention is to be over half floats. */
  readonly halfAttention?: boolean;
}

/** Reads the graph of a model. What is wrong with a file is for the runtime to say. */
export function readModel(path: string, { logits, halfAttention = false }: Edits = {}): ModelFile {
  let file: number | undefined;
  try {
    // The hub's cache is made of links, and the runtime refuses weights that lie elsewhere than the folder it is told.
    const real = realpathSync(path);
    const folder = dirname(real);
    const resolve = (location: string): string => relative(folder, realpathSync(join(dirname(path), location)));
    file = openSync(real, 'r');
    const { size } = fstatSync(file);
    const whole = withExternalData(windowsOn(file), size, { model: basename(real), resolve });
    const short = keepLastLogits(whole, logits) ?? whole;
    const halved = halfAttention ? halveAttention(short) : undefined;
    const bytes = halved ?? short;
    return { path, light: { bytes, folder, halved: halved !== undefined, ...declaredBy(bytes) } };
  } catch {
    return { path };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** @throws Error for bytes that are no model, or whose inputs and outputs are not all tensors of known shape. */
function declaredBy(bytes: Uint8Array): GraphIo & Pick<LightModel, 'updated'> {
  const root = new Message(bytes);
  const [field, second] = root.all(MODEL.graph);
  if (!field || second) throw new Error('A model with another number of graphs than one');
  const message = root.message(field);
  const graph = new Graph(message);
  const side = (number: number): TensorInfo[] =>
    message.all(number).flatMap((value) => {
      // Before version 4 of the format weights are inputs too.
      if (number === GRAPH.input && graph.constantShape(nameOf(message, value))) return [];
      const port = portOf(message, value);
      if (!port) throw new Error(`${nameOf(message, value)} is not a tensor of known shape`);
      return [port];
    });
  return { inputs: side(GRAPH.input), outputs: side(GRAPH.output), updated: updatedInPlace(graph) };
}

/**
 * @param sessionOptions gets the folder of the weights.
 * @returns the session, to be released.
 * @throws OrtError with the runtime's message about the file.
 */
export function openModel(api: OrtApi, env: Pointer, sessionOptions: Pointer, { path, light }: ModelFile): Pointer {
  if (light) {
    try {
      api.addSessionConfigEntry(sessionOptions, FOLDER_OF_WEIGHTS, light.folder);
      return api.createSessionFromArray(env, light.bytes, light.bytes.length, sessionOptions);
    } catch (error) {
      // As it is, a model that needs its edit would run, wrongly; and memory that is lacking is lacking for both.
      if (light.halved || (error instanceof Error && isOutOfMemory(error.message))) throw error;
      // The runtime opens the file itself below, or says what is wrong with it.
    }
  }
  return api.createSession(env, path, sessionOptions);
}

/** Whether attention appends to every cache where it is; false for a model that could not be read. */
export function updatesInPlace({ light }: ModelFile, names: TensorNames): boolean {
  return light !== undefined && readSignature(light, names).caches.every(({ present }) => light.updated.has(present));
}

/**
 * Reads a file through two windows, since what lies before a tensor's data is asked for again after what lies behind it: one call for
 * each tensor that is skipped. A window that was given away is not written again.
 */
function windowsOn(file: number): Source {
  let near: Window = { start: 0, bytes: NOTHING };
  let far = near;
  const holding = (from: number, to: number): Window => {
    if (holds(near, from, to)) return near;
    const found = holds(far, from, to) ? far : { start: from, bytes: readFully(file, from, to - from) };
    far = near;
    near = found;
    return near;
  };
  return {
    byte: (position) => {
      const { start, bytes } = holding(position, position + 1);
      return bytes[position - start];
    },
    bytes: (from, to) => {
      const { start, bytes } = holding(from, to);
      return bytes.subarray(from - start, to - start);
    },
  };
}

interface Window {
  readonly start: number;
  readonly bytes: Uint8Array;
}

const NOTHING = new Uint8Array(0);
const holds = ({ start, bytes }: Window, from: number, to: number): boolean =>
  from >= start && to <= start + bytes.length;

/** A window's worth of bytes or more, fewer than asked for at the file's end. */
function readFully(file: number, position: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(Math.max(length, WINDOW_BYTES));
  let done = 0;
  for (let count = -1; done < bytes.length && count !== 0; done += count)
    count = readSync(file, bytes, done, bytes.length - done, position + done);
  return bytes.subarray(0, done);
}
