/** Checksums of files of the hub: SHA-256 for files in Git LFS, git's SHA-1 of the blob for other files. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** The expected contents of a file. */
export interface Checksum {
  readonly size: number;
  /** Expected hash in hexadecimal; also the name of the file's blob in the cache. */
  readonly etag: string;
  readonly hash: 'sha256' | 'git-sha1';
}

export function newHash({ hash, size }: Pick<Checksum, 'hash' | 'size'>): Hash {
  return hash === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/**
 * The checksum that the name of a blob states.
 * @param size size of the file on the disk, because git's hash includes it.
 * @returns undefined for a name that is no checksum.
 */
export function checksumOfBlob(name: string, size: number): Checksum | undefined {
  if (/^[0-9a-f]{64}$/.test(name)) return { size, etag: name, hash: 'sha256' };
  return /^[0-9a-f]{40}$/.test(name) ? { size, etag: name, hash: 'git-sha1' } : undefined;
}

/**
 * True if the contents of a regular file have the expected checksum.
 * @throws errors of the file system.
 */
export async function hasContents(path: string, expected: Checksum): Promise<boolean> {
  const hash = newHash(expected);
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex') === expected.etag;
}
