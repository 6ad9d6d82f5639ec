/** Checks the contents of cached files: all of them with `--verify`, otherwise the small ones. */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { INDEX_FILE } from '../../model/checkpoint/shards.ts';
import type { HubCache } from '../../model/hub/cache.ts';
import { checksumOfBlob, hasContents } from '../../model/hub/checksum.ts';
import { METADATA_FILES } from '../../model/hub/choice.ts';
import { PullError } from '../../model/hub/pull-error.ts';
import type { RepositoryFile } from '../../model/hub/repository.ts';
import { formatBytes } from '../../narration/phrases.ts';

/** Files up to this size are checked by every pull: the hash of one takes some milliseconds. */
export const MAX_QUICK_CHECK_BYTES = 1024 * 1024;

export class Verifier {
  /** `--verify` */
  readonly checksEverything: boolean;
  readonly #say: (sentence: string) => void;
  /** Path in the repository → the result of its check. */
  readonly #checked = new Map<string, { readonly isIntact: boolean; readonly size: number }>();

  constructor(checksEverything: boolean, say: (sentence: string) => void) {
    this.checksEverything = checksEverything;
    this.#say = say;
  }

  /** True if the cache has a file of a snapshot, with the right contents as far as this pull checks them. */
  async isPresent(cache: HubCache, commit: string, file: RepositoryFile): Promise<boolean> {
    const earlier = this.#checked.get(file.path);
    if (earlier?.isIntact === false) return false;
    const real = await cache.find(commit, file.path, file.size);
    if (real === undefined || earlier !== undefined) return real !== undefined;
    const isIntact = await this.accepts(real, file);
    if (!isIntact) this.#say(`${file.path} is damaged: its checksum is not ${file.etag}. It is downloaded again`);
    this.#checked.set(file.path, { isIntact, size: file.size });
    return isIntact;
  }

  /** True if a file on the disk has the right contents, or is too large for a check without `--verify`. */
  async accepts(path: string, file: RepositoryFile): Promise<boolean> {
    return (!this.checksEverything && file.size > MAX_QUICK_CHECK_BYTES) || hasContents(path, file);
  }

  /** Records that a file was downloaded again: its checksum was verified on the way. */
  renewed({ path, size }: RepositoryFile): void {
    this.#checked.set(path, { isIntact: true, size });
  }

  /** Reports the result of `--verify`. */
  summarize(name: string): void {
    const sizes = [...this.#checked.values()].map(({ size }) => size);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (this.checksEverything)
      this.#say(`${name} is verified: the checksums of ${filesIn(sizes.length)} (${formatBytes(total)}) are right`);
  }
}

/** Files of a model in the cache. */
export interface CachedFiles {
  readonly folder: string;
  /** Folder of the blobs. */
  readonly blobs: string;
  /** Absolute paths, besides the files that most models have. */
  readonly paths: readonly string[];
}

/**
 * Checks a model without the hub: the name of a blob is its checksum. Files that are copies cannot be
 * checked.
 * @throws PullError that names the damaged files.
 */
export async function verifyOffline(
  { folder, blobs, paths }: CachedFiles,
  name: string,
  say: (sentence: string) => void,
): Promise<void> {
  const damaged: string[] = [];
  const realBlobs = await realpath(blobs);
  let [checked, copies, bytes] = [0, 0, 0];
  for (const path of new Set([...[...METADATA_FILES, INDEX_FILE].map((file) => join(folder, file)), ...paths])) {
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined) continue;
    const found = await stat(real);
    if (!found.isFile()) continue;
    const { size } = found;
    const expected = dirname(real) === realBlobs ? checksumOfBlob(basename(real), size) : undefined;
    if (expected === undefined) copies += 1;
    else if (await hasContents(real, expected)) [checked, bytes] = [checked + 1, bytes + size];
    else damaged.push(path === real ? `the weights ${real}` : relative(folder, path));
  }
  if (damaged.length > 0)
    throw new PullError(
      `${name} is damaged: the checksum of ${damaged.join(', ')} is wrong. Unset HF_HUB_OFFLINE and run pull --verify again.`,
    );
  const unchecked = copies === 0 ? '' : `; ${filesIn(copies)} cannot be checked without the hub: they are copies`;
  say(`${name} is verified: the checksums of ${filesIn(checked)} (${formatBytes(bytes)}) are right${unchecked}`);
}

const filesIn = (count: number): string => `${count} file${count === 1 ? '' : 's'}`;
