/**
 * Lists the folder of saved weights, and removes the weights that no worker of this version uses any more.
 * A worker that maps removed files keeps its pages until it ends: Linux frees the disk then.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { readText } from '../../protocol/host/control-groups.ts';
import {
  isUnchanged,
  LOCK_SUFFIX,
  namesIn,
  readManifest,
  SAVED,
  type WeightsManifest,
} from '../../protocol/host/weights-cache.ts';

/** The saved weights of one model. */
export interface SavedEntry {
  /** The name of the folder. */
  readonly key: string;
  readonly path: string;
  /** Bytes of the disk, without holes. */
  readonly bytes: number;
  /** Paths of the weights of the model; empty for a folder without a manifest. */
  readonly sources: readonly string[];
  /** Why no worker of this version uses the weights; absent for current ones. */
  readonly stale?: string;
}

/** Names of folders and locks: other files in the folder are not touched. */
const KEY = /^[0-9a-f]{32}$/;
/** The unit of `blocks` in `stat`. */
const BLOCK_BYTES = 512;

/**
 * The entries of a folder of saved weights; none if it is missing.
 * @param runtime version of the runtime that workers use; undefined if it is unknown
 */
export function savedWeights(folder: string, runtime: string | undefined = runtimeVersion()): SavedEntry[] {
  const locked = lockedInodes();
  const keys = namesIn(folder).filter((name) => KEY.test(name));
  const manifests = new Map(keys.map((key) => [key, readManifest(join(folder, key))]));
  const entries = keys.flatMap((key): SavedEntry[] => {
    const path = join(folder, key);
    const manifest = manifests.get(key);
    // A process fills the folder now.
    if (!manifest && isLocked(path + LOCK_SUFFIX, locked)) return [];
    const stale = manifest ? staleReason(manifest, { key, manifests, folder, runtime }) : 'not complete';
    const sources = manifest?.sources.map((source) => source.path) ?? [];
    return [{ key, path, bytes: diskBytes(path), sources, ...(stale !== undefined && { stale }) }];
  });
  return withReaders(entries);
}

/** Weights in the order of the runtime are stale too if they come from converted weights that are stale. */
function withReaders(entries: readonly SavedEntry[]): SavedEntry[] {
  const staleKeys = new Set(entries.flatMap(({ key, stale }) => (stale === undefined ? [] : key)));
  return entries.map((entry) =>
    entry.stale === undefined && entry.sources.some((source) => staleKeys.has(basename(dirname(source))))
      ? { ...entry, stale: 'its converted weights are not used any more' }
      : entry,
  );
}

/** The other entries, with which an entry is compared. */
interface Others {
  readonly key: string;
  readonly folder: string;
  readonly manifests: ReadonlyMap<string, WeightsManifest | undefined>;
  readonly runtime: string | undefined;
}

function staleReason(manifest: WeightsManifest, others: Others): string | undefined {
  const { sources, runtime, unusable, converted } = manifest;
  if (!sources.every(isUnchanged)) return 'the weights of the model are gone or have changed';
  if (others.runtime !== undefined && runtime !== others.runtime && !converted)
    return `made by version ${runtime} of the runtime`;
  if (unusable !== undefined) return `not usable: ${unusable}`;
  return isReplaced(manifest, others) ? 'replaced by newer ones of the same model' : undefined;
}

/** True if another version of the worker has saved weights of the same files and context later. */
function isReplaced(manifest: WeightsManifest, { key, folder, manifests }: Others): boolean {
  const purpose = purposeOf(manifest);
  const made = madeAt(join(folder, key));
  return [...manifests].some(
    ([name, other]) =>
      name !== key &&
      other !== undefined &&
      other.unusable === undefined &&
      purposeOf(other) === purpose &&
      madeAt(join(folder, name)) > made,
  );
}

/** Equal for weights of the same files for the same use. */
const purposeOf = ({ sources, processor, context, converted }: WeightsManifest): string =>
  JSON.stringify([sources, processor, context, converted?.form]);

const madeAt = (path: string): number => statSync(join(path, SAVED.manifest), { throwIfNoEntry: false })?.mtimeMs ?? 0;

function diskBytes(path: string): number {
  return namesIn(path).reduce((sum, name) => {
    const found = statSync(join(path, name), { throwIfNoEntry: false });
    return sum + (found?.blocks ?? 0) * BLOCK_BYTES;
  }, 0);
}

/** Removes an entry and its lock. @throws Error of the file system */
export function removeSaved({ path }: SavedEntry): void {
  rmSync(path, { recursive: true, force: true });
  rmSync(path + LOCK_SUFFIX, { force: true });
}

/** The inodes of all files that processes of this machine have locked. */
function lockedInodes(): ReadonlySet<string> {
  const lines = readText('/proc/locks').split('\n');
  return new Set(lines.flatMap((line) => /\s[0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line)?.[1] ?? []));
}

function isLocked(path: string, locked: ReadonlySet<string>): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && locked.has(String(found.ino));
}

/** Version of the installed runtime; undefined if the package is not installed. */
function runtimeVersion(): string | undefined {
  try {
    const path = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
  } catch {
    return undefined;
  }
}
