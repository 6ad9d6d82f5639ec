/**
 * What can be wrong with a model's folder, and the look at one file that finds it out: at its kind, its size and its first bytes.
 * Problems are collected, so that all of them are told at once.
 */
import { lstat, open, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';

/** One thing wrong with one file of a model's folder; `file` is its path from the folder, '' the folder itself. */
export interface ModelProblem {
  readonly file: string;
  readonly problem: string;
}

/** A model that cannot be used, with everything that is wrong with it. Start-up ends with exit code 1. */
export class ModelError extends Error {
  readonly folder: string;
  readonly problems: readonly ModelProblem[];

  constructor(folder: string, problems: readonly ModelProblem[]) {
    const list = problems.map(({ file, problem }) => (file === '' ? problem : `${file} ${problem}`)).join('; ');
    super(`The model in ${folder} cannot be used: ${list}.`);
    this.name = 'ModelError';
    this.folder = folder;
    this.problems = problems;
  }
}

const LFS_HEADER = 'version https://git-lfs';

/**
 * Bytes of a file that must be there; 0 when it is not, or is broken, which is added to the problems. Only a regular file is opened:
 * a pipe would wait for its writer.
 */
export async function checkFile(root: string, file: string, problems: ModelProblem[]): Promise<number> {
  const path = join(root, file);
  try {
    const found = await stat(path);
    const problem = found.isFile() ? await contentProblem(path) : 'is not a file';
    if (problem === undefined) return found.size;
    problems.push({ file, problem });
  } catch (error) {
    problems.push({ file, problem: await absenceReason(path, error) });
  }
  return 0;
}

/** Whether there is anything by this name, be it broken or a link that leads nowhere. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Whether a path leads out of the folder that it is relative to. */
export function leavesFolder(path: string): boolean {
  return isAbsolute(path) || /^\.\.([/\\]|$)/.test(normalize(path));
}

/** Why a file or folder cannot be read, in words that follow its name. */
export function unreadable(error: unknown): string {
  return `cannot be read (${error instanceof Error && 'code' in error ? error.code : 'unknown reason'})`;
}

async function absenceReason(path: string, error: unknown): Promise<string> {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ELOOP') return 'is a link to itself';
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return unreadable(error);
  return (await exists(path)) ? 'is a link to a file that is not there' : 'is missing';
}

async function contentProblem(path: string): Promise<string | undefined> {
  const handle = await open(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(LFS_HEADER.length), 0, LFS_HEADER.length, 0);
    if (bytesRead === 0) return 'is empty';
    return buffer.toString('latin1') === LFS_HEADER
      ? 'is a Git LFS pointer, the file itself was not fetched'
      : undefined;
  } finally {
    await handle.close();
  }
}
