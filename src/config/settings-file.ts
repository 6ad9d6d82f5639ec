/**
 * The file of settings: the one that `--env-file` names, or `.env` of the working directory. A named file may
 * set everything. `.env` of a foreign folder is not the choice of the person who starts a worker there, so
 * the column `fromFolder` of the settings bounds it.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { messageOf } from '../protocol/error-message.ts';
import { absolutePath } from './folder.ts';

/** Maximum size of a file of settings. */
export const MAX_SETTINGS_FILE_BYTES = 64 * 1024;

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
 * @throws Error if the file is missing, unreadable or too long, or names another file
 */
export function readNamedFile(path: string, source: string): SettingsSource | undefined {
  if (path === 'none') return undefined;
  const absolute = absolutePath(path, source);
  const values = readValues(absolute, `${source}: ${JSON.stringify(path)}`, 'name a readable file, or none');
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
 * @throws Error if the file is unreadable or too long, or if the folder does not show its files
 */
export function readFolderFile(folder: string): SettingsSource | undefined {
  const path = join(folder, '.env');
  const subject = `The settings file ${path}`;
  const wayOut = '--env-file none starts without it';
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  } catch (error) {
    throw new Error(`${subject} cannot be read (${messageOf(error)}); ${wayOut}`);
  }
  return { path, isNamed: false, values: readValues(path, subject, wayOut) };
}

function readValues(path: string, subject: string, wayOut: string): NodeJS.Dict<string> {
  let start: Buffer;
  try {
    start = readStart(path, MAX_SETTINGS_FILE_BYTES + 1);
  } catch (error) {
    throw new Error(`${subject} cannot be read (${messageOf(error)}); ${wayOut}`);
  }
  if (start.length > MAX_SETTINGS_FILE_BYTES)
    throw new Error(`${subject} is longer than ${MAX_SETTINGS_FILE_BYTES} bytes; ${wayOut}`);
  return parseEnv(start.toString('utf8'));
}

/** At most `limit` bytes from the start of a file. Works for a pipe too: `--env-file <(command)`. */
function readStart(path: string, limit: number): Buffer {
  const buffer = Buffer.alloc(limit);
  const file = openSync(path, 'r');
  try {
    let length = 0;
    for (let read = -1; read !== 0 && length < limit; length += read)
      read = readSync(file, buffer, length, limit - length, null);
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}
