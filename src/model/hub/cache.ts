/**
 * The cache folder shared with huggingface_hub: `models--org--name/{blobs,refs,snapshots/<commit>}`. Files of
 * a snapshot are relative links to blobs; the name of a blob is its checksum. Knows the layout, not the
 * contents of the files.
 */
import { readFileSync, statSync } from 'node:fs';
import {
  copyFile,
  link,
  lstat,
  mkdir,
  readFile,
  realpath,
  rename,
  rm,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { v4 as uuid } from 'uuid';
import { COMMIT, type HubReference, isSafePath } from './reference.ts';

const CACHE_TAG =
  'Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of models from the hub; see https://bford.info/cachedir/\n';

/** One repository's part of the cache. Creates no folder before the first write. */
export class HubCache {
  readonly #root: string;
  /** Folder of the repository. */
  readonly folder: string;
  readonly #symlinks: boolean;

  constructor(root: string, repo: string, symlinks = true) {
    this.#root = root;
    this.folder = join(root, folderName(repo));
    this.#symlinks = symlinks;
  }

  /** Path of a blob, which may not exist yet. */
  blob(etag: string): string {
    return join(this.folder, 'blobs', etag);
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit);
  }

  /** Lock file that exists while a pull writes to the repository's folder. */
  get lockFile(): string {
    return join(this.#root, '.locks', basename(this.folder), 'rbees-workerd.lock');
  }

  /** Creates the folders for blobs and locks. */
  async prepare(): Promise<void> {
    await mkdir(join(this.folder, 'blobs'), { recursive: true });
    await mkdir(dirname(this.lockFile), { recursive: true });
    // Tells backup tools to skip the cache. huggingface_hub writes the same file.
    await writeFile(join(this.#root, 'CACHEDIR.TAG'), CACHE_TAG, { flag: 'wx' }).catch(() => undefined);
  }

  /**
   * Real path of a file of a snapshot that has this size, written by any tool; undefined if the cache lacks
   * it. A file behind a link that leads out of the cache does not count: a worker refuses it.
   */
  async find(commit: string, path: string, size: number): Promise<string | undefined> {
    try {
      const real = await realpath(join(this.snapshot(commit), path));
      const isInside = real.startsWith((await realpath(this.folder)) + sep);
      return isInside && (await sizeOf(real)) === size ? real : undefined;
    } catch {
      return undefined;
    }
  }

  /** Bytes of a blob that are already on the disk: the whole blob, or the part from an earlier attempt. */
  async bytesPresent(etag: string, size: number): Promise<number> {
    return Math.min(size, (await sizeOf(this.blob(etag))) ?? (await sizeOf(`${this.blob(etag)}.incomplete`)) ?? 0);
  }

  async hasBlob(etag: string, size: number): Promise<boolean> {
    return (await sizeOf(this.blob(etag))) === size;
  }

  /**
   * Adds a blob to a snapshot under a path: as a relative symbolic link, or where these are impossible, as a
   * hard link or a copy.
   * @throws Error if `path` leads out of the snapshot, by its name or through an existing link.
   */
  async linkBlob(commit: string, path: string, etag: string): Promise<void> {
    if (!isSafePath(path))
      throw new Error(`${JSON.stringify(path.slice(0, 200))} is not a valid path of a model file.`);
    const pointer = join(this.snapshot(commit), path);
    const blob = this.blob(etag);
    await mkdir(dirname(pointer), { recursive: true });
    const realFolder = await realpath(dirname(pointer));
    const realCache = await realpath(this.folder);
    if (!realFolder.startsWith(realCache + sep))
      throw new Error(`${dirname(pointer)} is a link that leads out of the cache: remove it.`);
    // Creates the entry under a temporary name first: a snapshot then never contains half a file, and a
    // rename replaces an old entry in one step.
    const temporary = `${pointer}.${uuid().slice(0, 8)}.tmp`;
    try {
      const linked = this.#symlinks && (await succeeded(symlink(relative(dirname(pointer), blob), temporary)));
      if (!linked && !(await succeeded(link(blob, temporary)))) await copyFile(blob, temporary);
      await rename(temporary, pointer);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Records the commit of a revision. Does not write if the record is already correct. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const ref = join(this.folder, 'refs', revision);
    if ((await readFile(ref, 'utf8').catch(() => '')) === commit) return;
    await mkdir(dirname(ref), { recursive: true });
    const temporary = `${ref}.${uuid().slice(0, 8)}.tmp`;
    await writeFile(temporary, commit);
    await rename(temporary, ref);
  }
}

/** Folder of a pulled model; undefined if the cache lacks this revision. */
export function cachedSnapshot(root: string, { repo, folder, revision }: HubReference): string | undefined {
  const cache = new HubCache(root, repo);
  const commit = COMMIT.test(revision) ? revision : readRef(join(cache.folder, 'refs', revision));
  if (commit === undefined) return undefined;
  const path = join(cache.snapshot(commit), folder);
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? path : undefined;
}

/** Name `org/name[/folder]` of a folder in a cached snapshot; undefined for any other folder. */
export function nameFromCache(folder: string): string | undefined {
  const path = resolve(folder).split(sep);
  const at = path.lastIndexOf('snapshots');
  if (!COMMIT.test(path[at + 1] ?? '')) return undefined;
  const [kind, ...parts] = path[at - 1]?.split('--') ?? [];
  return kind === 'models' && parts.length > 0 ? [...parts, ...path.slice(at + 2)].join('/') : undefined;
}

/** Same name as in huggingface_hub (file_download.py, repo_folder_name). */
export function folderName(repo: string): string {
  return ['models', ...repo.split('/')].join('--');
}

/** A sentence that explains a file system error of a pull and its remedy. Undefined for any other error. */
export function storageProblem(error: unknown, root: string): string | undefined {
  const { code, path } = error as NodeJS.ErrnoException;
  const otherFolder = 'set HF_HOME or HF_HUB_CACHE to another folder';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return `The disk of ${root} is full (${code}): free some space, or ${otherFolder}.`;
  if (code === 'ELOOP') return `${path ?? root} is a link instead of a file: remove it.`;
  if (code === undefined || !/^(?:EACCES|EPERM|EROFS|ENOTDIR|EEXIST|EISDIR|ENOENT|EIO)$/.test(code)) return undefined;
  return `${path ?? root} cannot be written (${code}): give this user write access, or ${otherFolder}.`;
}

/**
 * Free bytes on the disk of a folder that may not exist yet.
 * @throws file system errors.
 */
export async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const parent = dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === folder) throw error;
    return freeBytes(parent);
  }
}

function readRef(path: string): string | undefined {
  try {
    // Reading a pipe would wait for its writer.
    if (!statSync(path).isFile()) return undefined;
    const commit = readFileSync(path, 'utf8').trim();
    return COMMIT.test(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

/** Size of a regular file; undefined for anything else, such as a link, which could lead anywhere. */
async function sizeOf(path: string): Promise<number | undefined> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

async function succeeded(link: Promise<void>): Promise<boolean> {
  return link.then(
    () => true,
    () => false,
  );
}
