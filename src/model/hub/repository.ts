/**
 * What a repository on the hub holds: its commit and its files with their checksums, asked through the official package and checked field
 * by field, because all of it comes from outside.
 */
import { listFiles, modelInfo } from '@huggingface/hub';
import { z } from 'zod';
import { type Connection, PullError } from './connection.ts';
import { COMMIT, type HubReference, isSafePath, nameOf } from './reference.ts';

/** One file of a repository. */
export interface RepositoryFile {
  /** Path from the root; safe to join to a folder. */
  readonly path: string;
  readonly size: number;
  /** Name of its blob in the cache, and what its bytes must hash to. */
  readonly etag: string;
  /** Files in Git LFS go by their SHA-256, others by the SHA-1 that git gives their blob. */
  readonly hash: 'sha256' | 'git-sha1';
}

export interface Repository {
  readonly reference: HubReference;
  readonly commit: string;
  readonly files: readonly RepositoryFile[];
}

/** Pages of a list, 1000 files each: repositories with more files than this hold no single model. */
const MAX_PAGES = 50;

const entry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().min(0),
  oid: z.string().regex(COMMIT),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) }).nullish(),
});

/**
 * Finds the commit of a revision and lists its files. Files with names that could not be safe are left out.
 * @throws PullError when the repository cannot be had or the answers are not what the hub gives.
 */
export async function readRepository(connection: Connection, reference: HubReference): Promise<Repository> {
  const { repo, revision } = reference;
  const access = { hubUrl: connection.endpoint, fetch: limitedFetch(connection) };
  try {
    const info = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...access });
    const commit = z.string().regex(COMMIT).parse(info.sha);
    const files: RepositoryFile[] = [];
    const list = listFiles({ repo: { type: 'model', name: repo }, revision: commit, recursive: true, ...access });
    for await (const entryOfList of list) {
      const file = fileOf(entryOfList);
      if (file !== undefined) files.push(file);
    }
    return { reference, commit, files };
  } catch (error) {
    if (error instanceof PullError) throw error;
    const reason = error instanceof z.ZodError ? z.prettifyError(error).replaceAll(/\s+/g, ' ') : String(error);
    throw new PullError(`${connection.endpoint} answers about ${nameOf(reference)} in an unknown form: ${reason}`);
  }
}

/** Where a file is downloaded from; the commit in it never changes what it holds. */
export function fileUrl(endpoint: string, { reference, commit }: Repository, path: string): URL {
  const parts = path.split('/').map(encodeURIComponent);
  return new URL(`${endpoint}/${reference.repo}/resolve/${commit}/${parts.join('/')}`);
}

function fileOf(entryOfList: unknown): RepositoryFile | undefined {
  const named = z.object({ type: z.literal('file'), path: z.string() }).safeParse(entryOfList);
  if (!named.success || !isSafePath(named.data.path)) return undefined;
  const { path, size, oid, lfs } = entry.parse(entryOfList);
  return lfs ? { path, size: lfs.size, etag: lfs.oid, hash: 'sha256' } : { path, size, etag: oid, hash: 'git-sha1' };
}

function limitedFetch(connection: Connection): typeof fetch {
  let pages = 0;
  return (input, init) => {
    pages += 1;
    if (pages > MAX_PAGES) throw new PullError(`${connection.endpoint} lists files without end.`);
    return connection.fetch(input, init);
  };
}
