/**
 * Problems of a model's folder, and the check of one file: its kind, its size and its first bytes. Callers
 * collect problems, so that an operator sees all of them at once.
 */
import { type FileHandle, lstat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { openModelFile, RefusedFile } from './folder-files.ts';

/** A problem of one file of a model. */
export interface ModelProblem {
  /** Name of the file, relative to the folder in the message: never empty. */
  readonly file: string;
  /** Continues a sentence that begins with the name of the file. */
  readonly problem: string;
}

/** The model cannot be used. The message lists every problem. Startup ends with exit code 1. */
export class ModelError extends Error {
  readonly folder: string;
  readonly problems: readonly ModelProblem[];

  constructor(folder: string, problems: readonly ModelProblem[]) {
    const list = problems.map(({ file, problem }) => `${file} ${problem}`).join('; ');
    // The problems come first: a path can be longer than a narrated sentence.
    super(`The model cannot be used: ${list}. Its folder is ${folder}.`);
    this.name = 'ModelError';
    this.folder = folder;
    this.problems = problems;
  }
}

const LFS_HEADER = 'version https://git-lfs';

/** A regular file with contents, in an allowed place. */
export interface CheckedFile {
  readonly bytes: number;
  /** Absolute path with links resolved. */
  readonly real: string;
}

/**
 * Checks a required file. Returns undefined if the file is missing, broken, or behind a link that leads out
 * of the folder, and adds the problem.
 */
export async function checkFile(
  root: string,
  file: string,
  problems: ModelProblem[],
): Promise<CheckedFile | undefined> {
  try {
    const { handle, real } = await openModelFile(root, file);
    try {
      const problem = await contentProblem(handle);
      if (problem === undefined) return { bytes: (await handle.stat()).size, real };
      problems.push({ file, problem });
    } finally {
      await handle.close();
    }
  } catch (error) {
    problems.push({ file, problem: await absenceReason(join(root, file), error) });
  }
  return undefined;
}

/** True if the path exists, even if it is a dangling link. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** True if a path leads out of the folder that it is relative to. */
export function leavesFolder(path: string): boolean {
  return isAbsolute(path) || /^\.\.([/\\]|$)/.test(normalize(path));
}

/** Reason why a file or folder is unreadable, as text that follows the file's name in a sentence. */
export function unreadable(error: unknown): string {
  if (error instanceof RefusedFile) return error.message;
  return `cannot be read (${error instanceof Error && 'code' in error ? error.code : 'unknown reason'})`;
}

async function absenceReason(path: string, error: unknown): Promise<string> {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ELOOP') return 'is a link to itself';
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return unreadable(error);
  return (await exists(path)) ? 'is a link to a missing file' : 'is missing';
}

async function contentProblem(handle: FileHandle): Promise<string | undefined> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(LFS_HEADER.length), 0, LFS_HEADER.length, 0);
  if (bytesRead === 0) return 'is empty';
  return buffer.toString('latin1') === LFS_HEADER ? 'is a Git LFS pointer: run git lfs pull' : undefined;
}
