/**
 * The file of settings: the one that `--env-file` names, or `.env` of the working directory. A named file may
 * set everything. `.env` of a foreign folder is not the choice of the person who starts a worker there, so
 * the column `fromFolder` of the settings bounds it.
 */
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { messageOf } from '../protocol/text/error-message.ts';
import { absolutePath } from './host/folder.ts';
import { settingsText } from './settings-text.ts';

/** Maximum size of a file of settings. */
export const MAX_SETTINGS_FILE_BYTES = 64 * 1024;
/** Time that the start waits for the writer of a named pipe. */
export const MAX_PIPE_MS = 5000;
/** Time between two looks into it. */
const PIPE_STEP_MS = 10;

/** The flag that names the file. Not a row of the settings: no file can set it. */
export const ENV_FILE = {
  name: 'env-file',
  variable: 'RBEES_ENV_FILE',
  meaning: 'file of settings, one NAME=value per line; a named file may set everything',
  allowed: 'a file, or none to read no file',
  shown: 'for serve, .env of the working directory; for ask, doctor and pull, none',
} as const;

/** A file of settings, as it was read. */
export interface SettingsSource {
  /** An absolute path. */
  readonly path: string;
  /** True if `--env-file` or `RBEES_ENV_FILE` names the file. */
  readonly isNamed: boolean;
  readonly values: NodeJS.Dict<string>;
}

/**
 * Reads the named file.
 * @param path relative to the working directory; `none` reads no file
 * @param source the flag or variable that names the file, for the error
 * @throws Error if the file is missing, unreadable, too long or not a text, or names another file
 */
export function readNamedFile(path: string, source: string): SettingsSource | undefined {
  if (path === 'none') return undefined;
  const absolute = absolutePath(path, source);
  const subject = `${source}: ${JSON.stringify(path)}`;
  const values = readValues(absolute, { subject, wayOut: 'name a readable file, or none', mayBeForeign: false });
  if (values[ENV_FILE.variable])
    throw new Error(
      `${ENV_FILE.variable} in ${absolute}: a file of settings cannot name another one; remove the line, or name the other file with --${ENV_FILE.name}`,
    );
  return { path: absolute, isNamed: true, values };
}

/**
 * Reads `.env` of a folder. Undefined if there is none, or if it is not a file: some Python environments are
 * folders with this name, and a link to a device has no end.
 * @param folder an absolute path
 * @throws Error if the file is unreadable or too long, if a line with a setting is not a text, or if the
 * folder does not show its files
 */
export function readFolderFile(folder: string): SettingsSource | undefined {
  const path = join(folder, '.env');
  const options = {
    subject: `The settings file ${path}`,
    wayOut: '--env-file none starts without it',
    mayBeForeign: true,
  };
  const isFile = attempt(() => statSync(path, { throwIfNoEntry: false })?.isFile(), options);
  return isFile ? { path, isNamed: false, values: readValues(path, options) } : undefined;
}

interface ReadOptions {
  /** The file, at the beginning of an error. */
  readonly subject: string;
  /** The end of an error. */
  readonly wayOut: string;
  /** True for a file that may belong to another program. */
  readonly mayBeForeign: boolean;
}

/** @throws Error with the subject and the way out if `read` throws */
function attempt<T>(read: () => T, { subject, wayOut }: ReadOptions): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${subject} cannot be read (${messageOf(error)}); ${wayOut}`);
  }
}

function readValues(path: string, options: ReadOptions): NodeJS.Dict<string> {
  const { subject, wayOut, mayBeForeign } = options;
  const start = attempt(() => readStart(path, MAX_SETTINGS_FILE_BYTES + 1), options);
  if (start.length > MAX_SETTINGS_FILE_BYTES)
    throw new Error(`${subject} is longer than ${MAX_SETTINGS_FILE_BYTES} bytes; ${wayOut}`);
  try {
    return parseEnv(settingsText(start, mayBeForeign));
  } catch (error) {
    throw new Error(`${subject} ${messageOf(error)}; save it as UTF-8, or ${wayOut}`);
  }
}

/**
 * At most `limit` bytes from the start of a file. Works for a pipe too: `RBEES_ENV_FILE=<(command)`. Node.js
 * itself reads the file of the flag first, which empties a pipe.
 * @throws Error for a folder, and for a named pipe into which no program writes
 */
function readStart(path: string, limit: number): Buffer {
  const stats = statSync(path);
  if (stats.isDirectory()) throw new Error('it is a folder');
  // Opening a named pipe would wait for its writer, maybe forever.
  const isNamedPipe = stats.isFIFO() && !/^\/(?:dev\/(?:fd\/|stdin$)|proc\/)/.test(path);
  const file = openSync(path, isNamedPipe ? constants.O_RDONLY | constants.O_NONBLOCK : 'r');
  try {
    return isNamedPipe ? readPipe(file, limit) : readFile(file, limit);
  } finally {
    closeSync(file);
  }
}

function readFile(file: number, limit: number): Buffer {
  const buffer = Buffer.alloc(limit);
  let length = 0;
  for (let read = -1; read !== 0 && length < limit; length += read)
    read = readSync(file, buffer, length, limit - length, null);
  return buffer.subarray(0, length);
}

/** Reads a named pipe until its writer closes it. Waits for a writer, and for its bytes. */
function readPipe(file: number, limit: number): Buffer {
  const buffer = Buffer.alloc(limit);
  const clock = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  let length = 0;
  for (let waited = 0; waited < MAX_PIPE_MS; ) {
    const read = readAvailable(file, buffer.subarray(length));
    length += read ?? 0;
    if (length === limit || (read === 0 && length > 0)) return buffer.subarray(0, length);
    // Without a writer, a read returns 0 bytes at once.
    if (read) continue;
    Atomics.wait(clock, 0, 0, PIPE_STEP_MS);
    waited += PIPE_STEP_MS;
  }
  throw new Error(`it is a pipe, and no program has written all settings into it within ${MAX_PIPE_MS / 1000} s`);
}

/** Number of bytes that were read; undefined if the writer has not written more yet. */
function readAvailable(file: number, into: Buffer): number | undefined {
  try {
    return readSync(file, into, 0, into.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}
