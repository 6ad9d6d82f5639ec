/**
 * Downloads one file from the hub into the cache. Resumes an earlier attempt, also of another process. The
 * file gets its final name only after its checksum is verified. Writes `<blob>.incomplete`, then the blob.
 */
import type { Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { newHash } from './checksum.ts';
import type { Connection } from './connection.ts';
import { broken, type Route } from './network/failures.ts';
import { BrokenTransfer, PullError } from './pull-error.ts';
import type { RepositoryFile } from './repository.ts';
import type { HubResponse } from './request.ts';
import type { TransferWatch } from './transfer-watch.ts';

/**
 * Maximum number of attempts, even if each transfers data. A server that fails more often counts as broken.
 */
export const MAX_TRIES = 200;
const READ_BYTES = 1 << 20;

/** One file to download. */
export interface Download {
  readonly url: URL;
  readonly file: RepositoryFile;
  /** Path of the complete file. */
  readonly blob: string;
  /** Receives the number of bytes on the disk. The number falls when the download starts over. */
  readonly onProgress: (bytes: number) => void;
}

/**
 * Downloads a file to `blob`. Resumes an earlier partial download.
 * @throws PullError if the hub does not deliver the file; file system errors unchanged.
 */
export async function download(connection: Connection, task: Download): Promise<void> {
  const { file, blob, onProgress } = task;
  const partial = await PartialFile.open(`${blob}.incomplete`, file);
  let damaged = false;
  let failures = 0;
  try {
    onProgress(partial.bytes);
    for (let tries = 1; ; tries++) {
      const before = partial.bytes;
      const watch = connection.watch();
      try {
        if (partial.bytes < file.size) await receive(connection, task, partial, watch);
        if (partial.isVerified()) break;
        await partial.restart();
        onProgress(0);
        if (damaged)
          throw new PullError(`${file.path} arrived damaged twice: its checksum is not ${file.etag}. Try again later.`);
        damaged = true;
      } catch (error) {
        watch.stop();
        if (!(error instanceof BrokenTransfer)) throw error;
        failures = partial.bytes > before && !watch.isTooSlow ? 1 : failures + 1;
        await connection.recover(error, Math.max(failures, tries < MAX_TRIES ? 0 : tries), file.path);
      } finally {
        watch.stop();
      }
    }
    await partial.commit(blob);
  } finally {
    await partial.close(damaged);
  }
}

/** One request, from the end of the partial file to the end of the file. */
async function receive(
  connection: Connection,
  { url, onProgress }: Download,
  partial: PartialFile,
  watch: TransferWatch,
): Promise<void> {
  const range = partial.bytes > 0 ? { range: `bytes=${partial.bytes}-` } : {};
  const response = await connection.open(url, range, watch);
  try {
    let position = response.status === 206 ? startOf(response, partial) : 0;
    for await (const piece of bytesOf(response, connection.routeTo(url))) {
      watch.received(piece.byteLength);
      // If the server sends the file from its beginning, skip the bytes that are already on the disk.
      const fresh = piece.subarray(Math.max(0, partial.bytes - position));
      position += piece.byteLength;
      await partial.append(fresh);
      onProgress(partial.bytes);
      if (partial.isTooLong) return;
    }
  } finally {
    response.body.destroy();
  }
  const { bytes, size } = partial;
  if (bytes < size) throw new BrokenTransfer(`${url.host} stopped after ${bytes} of ${size} bytes`);
}

async function* bytesOf({ body }: HubResponse, route: Route): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const piece of body as AsyncIterable<Uint8Array>) yield piece;
  } catch (error) {
    throw broken(error, route);
  }
}

/**
 * Offset at which a 206 response begins.
 * @throws BrokenTransfer if the response is not the requested range.
 */
function startOf(response: HubResponse, { bytes, size }: PartialFile): number {
  const given = String(response.headers['content-range'] ?? '');
  const [, start, total] = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(given) ?? [];
  if (Number(start) === bytes && (total === '*' || Number(total) === size)) return bytes;
  throw new BrokenTransfer(`requested bytes ${bytes} to ${size}, received ${given.slice(0, 60) || 'an unknown range'}`);
}

/** The incomplete file, with the hash of its contents so far. */
class PartialFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #file: RepositoryFile;
  #hash: Hash;
  /** Bytes on the disk, at most `size`. */
  bytes = 0;
  /** The server sent more bytes than the file has, so the contents are wrong. */
  isTooLong = false;
  #committed = false;

  private constructor(path: string, handle: FileHandle, file: RepositoryFile) {
    this.#path = path;
    this.#handle = handle;
    this.#file = file;
    this.#hash = newHash(file);
  }

  /**
   * Opens the partial file of an earlier attempt, or creates it. Refuses a link, because it could lead
   * anywhere.
   */
  static async open(path: string, file: RepositoryFile): Promise<PartialFile> {
    const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
    const handle = await open(path, flags, 0o666);
    const partial = new PartialFile(path, handle, file);
    try {
      const stats = await handle.stat();
      const { size } = stats;
      if (!stats.isFile()) throw new PullError(`${path} is not a regular file: remove it.`);
      if (size > file.size) await handle.truncate(0);
      else await partial.#readBack(size);
      return partial;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get size(): number {
    return this.#file.size;
  }

  async append(piece: Uint8Array): Promise<void> {
    const fitting = piece.subarray(0, this.size - this.bytes);
    this.isTooLong ||= piece.byteLength > fitting.byteLength;
    for (let done = 0; done < fitting.byteLength; ) {
      const { bytesWritten } = await this.#handle.write(fitting, done, fitting.byteLength - done, this.bytes + done);
      done += bytesWritten;
    }
    this.#hash.update(fitting);
    this.bytes += fitting.byteLength;
  }

  isVerified(): boolean {
    return !this.isTooLong && this.bytes === this.size && this.#hash.copy().digest('hex') === this.#file.etag;
  }

  /** Starts over: the contents are wrong. */
  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.bytes = 0;
    this.isTooLong = false;
    this.#hash = newHash(this.#file);
  }

  /** Flushes the file to the disk, then gives it its final name. */
  async commit(blob: string): Promise<void> {
    await this.#handle.sync();
    await this.#handle.close();
    this.#committed = true;
    await rename(this.#path, blob);
  }

  async close(remove: boolean): Promise<void> {
    if (this.#committed) return;
    await this.#handle.close();
    if (remove && this.bytes === 0) await rm(this.#path, { force: true });
  }

  async #readBack(size: number): Promise<void> {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size));
    while (this.bytes < size) {
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.bytes);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.bytes += bytesRead;
    }
  }
}
