/**
 * The files of one repository in the hub cache: its revisions, the bytes that it has on the disk, and
 * downloads that are not complete. Reads names and sizes, and never a file of a model.
 */
import type { Dirent } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { COMMIT } from '../reference.ts';

/** One snapshot of a repository. */
export interface CachedRevision {
  readonly commit: string;
  /** Names of branches, tags and pull requests that lead to the commit; sorted, `main` first. */
  readonly names: readonly string[];
  readonly folder: string;
  /** Paths of the files, relative to the folder, sorted. */
  readonly paths: readonly string[];
}

export interface RepositoryFiles {
  readonly revisions: readonly CachedRevision[];
  /** Bytes of all files of the repository. A blob counts once, however many links lead to it. */
  readonly bytes: number;
  /** Downloads that an interrupted pull has left. */
  readonly incomplete: { readonly files: number; readonly bytes: number };
  /** When a file was read or written last; undefined for a repository without files. */
  readonly usedAt: Date | undefined;
  readonly modifiedAt: Date | undefined;
}

/** A ref is a commit of 40 digits. */
const MAX_REF_BYTES = 100;
const INCOMPLETE = '.incomplete';

/** @throws errors of the file system for a folder that cannot be read */
export async function readRepository(folder: string): Promise<RepositoryFiles> {
  const entries = await entriesIn(folder);
  const refs = await readRefs(folder, entries);
  const snapshots = new Map<string, string[]>();
  for (const { path } of entries) {
    const [kind, commit = '', ...rest] = path.split(sep);
    if (kind !== 'snapshots' || !COMMIT.test(commit) || rest.length === 0) continue;
    snapshots.set(commit, [...(snapshots.get(commit) ?? []), rest.join('/')]);
  }
  const revisions = [...snapshots].map(([commit, paths]) => ({
    commit,
    names: refs.filter((ref) => ref.commit === commit).map(({ name }) => name),
    folder: join(folder, 'snapshots', commit),
    paths: paths.sort(),
  }));
  return { revisions, ...(await measure(folder, entries)) };
}

interface Entry {
  /** Relative to the folder of the repository. */
  readonly path: string;
  readonly isFile: boolean;
}

/** All entries but folders. Links are entries, and are not followed. */
async function entriesIn(folder: string): Promise<Entry[]> {
  const found: Dirent[] = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => ({ path: relative(folder, join(entry.parentPath, entry.name)), isFile: entry.isFile() }));
}

async function readRefs(folder: string, entries: readonly Entry[]): Promise<{ name: string; commit: string }[]> {
  const refs: { name: string; commit: string }[] = [];
  for (const { path, isFile } of entries) {
    const [kind, ...name] = path.split(sep);
    if (kind !== 'refs' || !isFile) continue;
    const commit = await readSmall(join(folder, path));
    if (COMMIT.test(commit)) refs.push({ name: name.join('/'), commit });
  }
  const rank = ({ name }: { name: string }): string => (name === 'main' ? '' : name);
  return refs.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** The text of a small file; empty if it cannot be read. */
async function readSmall(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  if (!found || found.size > MAX_REF_BYTES) return '';
  return (await readFile(path, 'utf8').catch(() => '')).trim();
}

/**
 * Snapshots have links to blobs, hard links, or copies: each file counts once by its number in the file
 * system.
 */
async function measure(folder: string, entries: readonly Entry[]): Promise<Omit<RepositoryFiles, 'revisions'>> {
  const counted = new Set<string>();
  const incomplete = { files: 0, bytes: 0 };
  let [bytes, used, modified] = [0, 0, 0];
  for (const { path, isFile } of entries) {
    const found = isFile ? await lstat(join(folder, path)).catch(() => undefined) : undefined;
    const id = `${found?.dev}:${found?.ino}`;
    if (!found || counted.has(id)) continue;
    counted.add(id);
    bytes += found.size;
    used = Math.max(used, found.atimeMs, found.mtimeMs);
    modified = Math.max(modified, found.mtimeMs);
    if (!path.endsWith(INCOMPLETE)) continue;
    incomplete.files += 1;
    incomplete.bytes += found.size;
  }
  const date = (ms: number): Date | undefined => (counted.size === 0 ? undefined : new Date(ms));
  return { bytes, incomplete, usedAt: date(used), modifiedAt: date(modified) };
}
