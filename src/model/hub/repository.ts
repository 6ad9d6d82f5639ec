/**
 * Lists a repository on the hub: its commit and its files with checksums. Uses the official package and
 * validates every field, because responses are untrusted.
 */
import { listFiles, modelInfo } from '@huggingface/hub';
import { z } from 'zod';
import { bytesOfType } from '../checkpoint/safetensors.ts';
import { mainType } from '../checkpoint/shards.ts';
import type { Checksum } from './checksum.ts';
import type { Connection } from './connection.ts';
import { PullError } from './pull-error.ts';
import { COMMIT, type HubReference, isSafePath, nameOf } from './reference.ts';

/** One file of a repository. */
export interface RepositoryFile extends Checksum {
  /** Path from the root; safe to join to a folder. */
  readonly path: string;
}

export interface Repository {
  readonly reference: HubReference;
  readonly commit: string;
  readonly files: readonly RepositoryFile[];
  /**
   * Element type of most of the bytes of the checkpoint at the root, such as `BF16`; absent if the hub does
   * not state it.
   */
  readonly checkpointType?: string | undefined;
}

/** Maximum number of pages, 1000 files each. A repository with more files does not contain a single model. */
export const MAX_PAGES = 50;

/** The numbers of elements of the checkpoint by their types. A mirror may leave them out. */
const parameters = z
  .object({ parameters: z.record(z.string().regex(/^\w{1,16}$/), z.number().min(0)) })
  .transform((found) => new Map(Object.entries(found.parameters)))
  .catch(new Map());

const entry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().min(0),
  oid: z.string().regex(COMMIT),
  lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().min(0) }).nullish(),
});

/**
 * Resolves a revision to its commit and lists its files. Leaves out files with unsafe names.
 * @throws PullError if the repository is unavailable or a response is malformed.
 */
export async function readRepository(connection: Connection, reference: HubReference): Promise<Repository> {
  const { repo, revision } = reference;
  const access = { hubUrl: connection.endpoint, fetch: limitedFetch(connection) };
  try {
    const info = await modelInfo({ name: repo, revision, additionalFields: ['sha', 'safetensors'], ...access });
    const commit = z.string().regex(COMMIT).parse(info.sha);
    const files: RepositoryFile[] = [];
    const list = listFiles({ repo: { type: 'model', name: repo }, revision: commit, recursive: true, ...access });
    for await (const entryOfList of list) {
      const file = fileOf(entryOfList);
      if (file !== undefined) files.push(file);
    }
    return { reference, commit, files, checkpointType: typeOf(parameters.parse(info.safetensors)) };
  } catch (error) {
    if (error instanceof PullError) throw error;
    const reason = error instanceof z.ZodError ? z.prettifyError(error).replaceAll(/\s+/g, ' ') : String(error);
    throw new PullError(`${connection.endpoint} gives a malformed answer about ${nameOf(reference)}: ${reason}`);
  }
}

/** Download URL of a file. The URL contains the commit, so its contents never change. */
export function fileUrl(endpoint: string, { reference, commit }: Repository, path: string): URL {
  const parts = path.split('/').map(encodeURIComponent);
  return new URL(`${endpoint}/${reference.repo}/resolve/${commit}/${parts.join('/')}`);
}

/** Bytes can be experts in MXFP4, and the hub does not say: config.json is read before the download. */
function typeOf(elements: ReadonlyMap<string, number>): string | undefined {
  const type = mainType(new Map([...elements].map(([one, count]) => [one, bytesOfType(one, count)])));
  return type === 'U8' ? undefined : type;
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
    if (pages > MAX_PAGES) throw new PullError(`${connection.endpoint} lists more than ${MAX_PAGES} pages of files.`);
    return connection.fetch(input, init);
  };
}
