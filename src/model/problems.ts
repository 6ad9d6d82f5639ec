/**
 * Problems of a model's folder, and the check of one file: its kind, its size and its first bytes. Callers
 * collect problems, so that an operator sees all of them at once.
 */
import { lstat, open, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';

/** A problem of one file in a model's folder. `file` is relative to the folder; '' is the folder itself. */
export interface ModelProblem {
  readonly file: string;
  readonly problem: string;
}

/** The model cannot be used. The message lists every problem. Startup ends with exit code 1. */
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
 * Returns the size of a required file in bytes. Returns 0 if the file is missing or broken, and adds the
 * problem. Opens regular files only, because opening a pipe would wait for its writer.
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
  return `cannot be read (${error instanceof Error && 'code' in error ? error.code : 'unknown reason'})`;
}

async function absenceReason(path: string, error: unknown): Promise<string> {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ELOOP') return 'is a link to itself';
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return unreadable(error);
  return (await exists(path)) ? 'is a link to a missing file' : 'is missing';
}

async function contentProblem(path: string): Promise<string | undefined> {
  const handle = await open(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(LFS_HEADER.length), 0, LFS_HEADER.length, 0);
    if (bytesRead === 0) return 'is empty';
    return buffer.toString('latin1') === LFS_HEADER ? 'is a Git LFS pointer: run git lfs pull' : undefined;
  } finally {
    await handle.close();
  }
}
