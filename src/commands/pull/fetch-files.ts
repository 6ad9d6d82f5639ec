/**
 * Downloads the files of a repository that the cache lacks or has damaged, under the lock of the repository.
 */
import { join } from 'node:path';
import type { HubSettings } from '../../config/network/hub-settings.ts';
import { freeBytes, type HubCache } from '../../model/hub/cache.ts';
import type { Choice } from '../../model/hub/choice.ts';
import type { Connection } from '../../model/hub/connection.ts';
import { type OnWait, withLock } from '../../model/hub/lock.ts';
import { PullError } from '../../model/hub/pull-error.ts';
import { nameOf } from '../../model/hub/reference.ts';
import { fileUrl, type Repository, type RepositoryFile } from '../../model/hub/repository.ts';
import { download } from '../../model/hub/transfer.ts';
import { formatBytes } from '../../narration/phrases.ts';
import type { ProgressBar } from './progress-bar.ts';
import type { Verifier } from './verifier.ts';

/** The parts that one pull uses. */
export interface PullContext {
  readonly repository: Repository;
  readonly cache: HubCache;
  readonly connection: Connection;
  readonly settings: HubSettings;
  readonly progress: ProgressBar;
  readonly verifier: Verifier;
}

/** The model's folder in the cache. */
export function folderOf({ cache, repository: { commit, reference } }: PullContext): string {
  return join(cache.snapshot(commit), reference.folder);
}

/** The model in the cache, as `--model` takes it: its folder, or its GGUF file. */
export const modelPath = (context: PullContext, { modelFile }: Pick<Choice, 'modelFile'>): string =>
  modelFile === undefined ? folderOf(context) : join(context.cache.snapshot(context.repository.commit), modelFile);

/** Downloads the files that are missing in the cache. Prints nothing if none is missing. */
export async function fetchFiles(context: PullContext, files: readonly RepositoryFile[], why: string): Promise<void> {
  const { repository, cache, progress } = context;
  const { commit, reference } = repository;
  const isIncomplete = (await missingFiles(context, files)).length > 0;
  if (!isIncomplete) return;
  await cache.prepare();
  const onWait: OnWait = ({ process = 'unknown', heldMs, file }) => {
    const time = heldMs === undefined ? '' : ` for ${Math.round(heldMs / 1000)} s`;
    progress.say(
      `Another pull of ${reference.repo} (process ${process}) has the lock${time}: waiting for it. If that process is gone, remove ${file}`,
    );
  };
  await withLock(cache.lockFile, onWait, async () => {
    const missing = await missingFiles(context, files);
    if (missing.length === 0) return;
    const total = missing.reduce((sum, { size }) => sum + size, 0);
    progress.say(
      `Pulling ${nameOf(reference)} (${commit.slice(0, 8)}): ${missing.length} file${missing.length === 1 ? '' : 's'}, ${formatBytes(total)}; ${why}`,
    );
    await requireSpace(context, missing);
    progress.begin(total);
    for (const file of missing) await fetchFile(context, file);
    progress.end();
  });
}

/** The files that the cache lacks, or has damaged. */
export async function missingFiles(
  { cache, repository, verifier }: PullContext,
  files: readonly RepositoryFile[],
): Promise<RepositoryFile[]> {
  const missing: RepositoryFile[] = [];
  for (const file of files) if (!(await verifier.isPresent(cache, repository.commit, file))) missing.push(file);
  return missing;
}

async function requireSpace({ cache, settings }: PullContext, files: readonly RepositoryFile[]): Promise<void> {
  const sizes = files.map(async ({ etag, size }) => size - (await cache.bytesPresent(etag, size)));
  const needed = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  const free = await freeBytes(settings.cache);
  if (needed > free)
    throw new PullError(
      `${settings.cache} needs ${formatBytes(needed)}, and ${formatBytes(free)} are free: free some space, or set HF_HUB_CACHE to another disk.`,
    );
}

async function fetchFile(
  { repository, cache, connection, progress, verifier }: PullContext,
  file: RepositoryFile,
): Promise<void> {
  progress.file(file.path, file.size);
  const blob = cache.blob(file.etag);
  if (!((await cache.hasBlob(file.etag, file.size)) && (await verifier.accepts(blob, file)))) {
    let fromBefore = true;
    await download(connection, {
      url: fileUrl(connection.endpoint, repository, file.path),
      file,
      blob,
      onProgress: (bytes) => {
        progress.at(bytes, fromBefore);
        fromBefore = false;
      },
    });
  }
  await cache.linkBlob(repository.commit, file.path, file.etag);
  verifier.renewed(file);
  progress.fileDone();
}

/** The files of the repository that the cache has at these real paths. */
export async function filesAt({ repository, cache }: PullContext, paths: readonly string[]): Promise<RepositoryFile[]> {
  const found = await Promise.all(repository.files.map((file) => cache.find(repository.commit, file.path, file.size)));
  return repository.files.filter((_, index) => paths.includes(found[index] ?? ''));
}
