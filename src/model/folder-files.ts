/**
 * Opens the files of a model folder. A model folder is foreign data: a link in it could lead to any file of
 * this machine, and a pipe would never end. Every file is opened here.
 */
import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { hubCache } from '../config/network/hub-settings.ts';
import { COMMIT } from './hub/reference.ts';

/** The file must not be opened. The message continues a sentence that begins with the file's name. */
export class RefusedFile extends Error {
  override readonly name = 'RefusedFile';
}

/** An open file of a model folder; the caller closes the handle. */
export interface OpenFile {
  readonly handle: FileHandle;
  /** Absolute path with links resolved. */
  readonly real: string;
}

/** Name of a blob: the SHA-1 or SHA-256 of its content. */
const BLOB = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** Windows lacks these flags; without O_NONBLOCK, opening a pipe would wait for its writer. */
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a regular file of a model folder for reading. Follows links inside the folder, from a snapshot of a
 * hub cache into `blobs/` beside it, and into the blobs of the user's hub cache. The folder itself may be a
 * link, because the operator named it. A hard link cannot be told from the file itself.
 * @param file path relative to `root`.
 * @throws RefusedFile for a link that leads elsewhere and for a file that is not regular; errors of the file
 * system unchanged.
 */
export async function openModelFile(root: string, file: string): Promise<OpenFile> {
  const places = placesOf(await realpath(root));
  const real = await realpath(join(root, file));
  if (!isIn(places, real) && !(await isBlobOfCache(real))) throw new RefusedFile(await leadsOut(root, file, places));
  if (!(await stat(real)).isFile()) throw new RefusedFile('is not a regular file');
  const handle = await open(real, READ);
  try {
    // Another process may have replaced the file or a folder above it since the check.
    const [opened, found] = [await handle.stat(), await stat(real)];
    const isSame = opened.ino === found.ino && opened.dev === found.dev && (await realpath(real)) === real;
    if (!isSame || !opened.isFile()) throw new RefusedFile('changed while it was opened: try again');
    return { handle, real };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Maximum size of a JSON file of a model, except its tokenizer and its weights. Known ones have 2 MB. */
export const MAX_JSON_BYTES = 16 * 2 ** 20;

/**
 * Reads a text file that is directly in a model folder.
 * @throws as `openModelFile`; RefusedFile for a file of more than `mostBytes`.
 */
export async function readModelText(path: string, mostBytes = MAX_JSON_BYTES): Promise<string> {
  const { handle } = await openModelFile(dirname(path), basename(path));
  try {
    const { size } = await handle.stat();
    if (size > mostBytes)
      throw new RefusedFile(`has ${size} bytes; at most ${mostBytes} are allowed. Use another model`);
    return textOfModel(await handle.readFile());
  } finally {
    await handle.close();
  }
}

/**
 * The text of a file. Other encodings would become tokens and templates with the character U+FFFD.
 * @throws RefusedFile if the bytes are not UTF-8
 */
export function textOfModel(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  throw new RefusedFile(`is not UTF-8${isUtf16 ? ' but UTF-16' : ''}: save it as UTF-8`);
}

/**
 * The folders in which the files of a model may be: its own, and `blobs/` if the folder is (or is in)
 * `models--org--name/snapshots/<commit>`.
 */
function placesOf(realRoot: string): string[] {
  const parts = realRoot.split(sep);
  const at = parts.findLastIndex(
    (part, index) =>
      part === 'snapshots' && COMMIT.test(parts[index + 1] ?? '') && parts[index - 1]?.startsWith('models--') === true,
  );
  return at < 0 ? [realRoot] : [realRoot, join(parts.slice(0, at).join(sep), 'blobs')];
}

/**
 * True for a blob of the user's hub cache: a folder of `huggingface-cli download --local-dir` can link to it.
 */
async function isBlobOfCache(real: string): Promise<boolean> {
  const cache = await realpath(hubCache()).catch(() => undefined);
  if (cache === undefined || !real.startsWith(cache + sep)) return false;
  const [repository = '', blobs, name = '', ...more] = real.slice(cache.length + 1).split(sep);
  return repository.startsWith('models--') && blobs === 'blobs' && BLOB.test(name) && more.length === 0;
}

const isIn = (places: readonly string[], real: string): boolean =>
  places.some((place) => real === place || real.startsWith(place.endsWith(sep) ? place : place + sep));

/** Names the first link on the way that leads out. Never names its target. */
async function leadsOut(root: string, file: string, places: readonly string[]): Promise<string> {
  const parts = file.split(sep);
  const folders = parts.map((_, index) => parts.slice(0, index + 1).join(sep));
  let link = file;
  for (const folder of folders.reverse()) if (!isIn(places, await realpath(join(root, folder)))) link = folder;
  const subject = link === file ? 'is a link that leads' : `is behind the link ${link}, which leads`;
  const allowed = places.length > 1 ? "inside the folder, or in the hub cache's blobs/" : 'inside the folder';
  return `${subject} out of the model folder; allowed: targets ${allowed}. Replace the link with a copy of the file`;
}
