/**
 * A folder below the folder for temporary files, where every user can make a folder or a link of any name.
 * The files in a folder are trusted only if no other user can have made them.
 */
import { lstat, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Permissions of the group and of others. */
const SHARED_MODE = 0o077;

/**
 * Makes a folder and its parent for this user alone, if they are missing.
 * @throws Error if one of them belongs to another user, is open to others, or cannot be made
 */
export async function makePrivateFolder(folder: string): Promise<void> {
  for (const path of [dirname(folder), folder]) {
    await mkdir(path, { mode: 0o700 }).catch(ignoreCode('EEXIST'));
    await requirePrivate(path);
  }
}

/**
 * True if the folder and its parent belong to this user alone; false if one of them is missing.
 * @throws Error if one of them belongs to another user, is open to others, or cannot be examined
 */
export async function isPrivateFolder(folder: string): Promise<boolean> {
  try {
    for (const path of [dirname(folder), folder]) await requirePrivate(path);
    return true;
  } catch (error) {
    ignoreCode('ENOENT')(error);
    return false;
  }
}

/** `lstat` does not follow a link: a link of another user could lead to a folder of this user. */
async function requirePrivate(path: string): Promise<void> {
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & SHARED_MODE) !== 0)
    throw new Error(`${path} is not a folder of this user alone`);
}

const ignoreCode =
  (code: string) =>
  (error: unknown): void => {
    if ((error as NodeJS.ErrnoException).code !== code) throw error;
  };
