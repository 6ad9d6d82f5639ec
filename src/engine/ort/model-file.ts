/**
 * Opens a model's file as a session that computes only the logits asked for and maps its weights from the file. What it cannot do that
 * with is opened by its path, as it is: the runtime alone says what is wrong with a file.
 */
import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { OrtApi, Pointer } from './api.ts';
import { keepLastLogits } from './last-logits.ts';
import type { Source } from './protobuf.ts';
import { withoutWeights } from './weightless.ts';

/** Read at once: the head of a tensor, or a dozen nodes. */
const WINDOW_BYTES = 4 * 1024;
const FOLDER_OF_WEIGHTS = 'session.model_external_initializers_file_folder_path';

/**
 * @param sessionOptions gets the folder of the weights.
 * @returns the session, to be released.
 * @throws OrtError with the runtime's message about the file.
 */
export function openModel(api: OrtApi, env: Pointer, sessionOptions: Pointer, modelFile: string): Pointer {
  const model = rewritten(modelFile);
  if (model) {
    try {
      api.addSessionConfigEntry(sessionOptions, FOLDER_OF_WEIGHTS, model.folder);
      return api.createSessionFromArray(env, model.bytes, model.bytes.length, sessionOptions);
    } catch {
      // The runtime opens the file itself below, or says what is wrong with it.
    }
  }
  return api.createSession(env, modelFile, sessionOptions);
}

/** The model without weights, edited, and the folder that its weights are named in; undefined for a file that cannot be read or is no model. */
function rewritten(modelFile: string): { bytes: Uint8Array; folder: string } | undefined {
  let file: number | undefined;
  try {
    // The hub's cache is made of links, and the runtime refuses weights that lie elsewhere than the folder it is told.
    const real = realpathSync(modelFile);
    const folder = dirname(real);
    const resolve = (location: string): string => relative(folder, realpathSync(join(dirname(modelFile), location)));
    file = openSync(real, 'r');
    const { size } = fstatSync(file);
    const bytes = withoutWeights(windowsOn(file), size, { model: basename(real), resolve });
    return { bytes: keepLastLogits(bytes) ?? bytes, folder };
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
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
