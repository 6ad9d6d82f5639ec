/**
 * The working directory, which can be removed before this process starts and while it runs. Node.js then
 * starts no thread and resolves no relative path.
 */
import { realpathSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';

/** The working directory; undefined if it has been removed. */
export function workingFolder(): string | undefined {
  try {
    // Asks the system. `process.cwd` remembers its first answer, and a removed folder still has a `stat`.
    return realpathSync.native('.');
  } catch {
    return undefined;
  }
}

/**
 * Changes to the root folder if the working directory has been removed. Call it before each start of a
 * thread: a new thread asks for its working directory, and an error would end it.
 */
export function leaveRemovedFolder(): void {
  if (workingFolder() === undefined) process.chdir('/');
}

/**
 * Makes a path absolute.
 * @param source the flag or variable that gives the path, for the error
 * @throws Error if the path is relative and the working directory has been removed
 */
export function absolutePath(path: string, source: string): string {
  if (!isAbsolute(path) && workingFolder() === undefined)
    throw new Error(
      `${source}: ${JSON.stringify(path)} is relative to the working directory, which has been removed; give an absolute path, or start in another folder`,
    );
  return resolve(path);
}
