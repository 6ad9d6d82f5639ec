/** Reads ranges of a file on the hub, to check the header of a model before its download. */
import type { ByteSource } from '../../checkpoint/gguf/header-bytes.ts';
import type { Connection } from '../connection.ts';
import { broken } from '../network/failures.ts';
import { BrokenTransfer } from '../pull-error.ts';
import type { HubResponse } from '../request.ts';

/** Bytes of one request. Headers with a vocabulary have 2 to 16 MB. */
const CHUNK_BYTES = 4 * 2 ** 20;

/** The server sends files from their beginning only. */
export class NoRanges extends Error {
  override readonly name = 'NoRanges';
}

export class RemoteFile implements ByteSource {
  readonly #connection: Connection;
  readonly #url: URL;
  readonly #size: number;
  /** Name of the file in messages. */
  readonly #path: string;
  #chunk = Buffer.alloc(0);
  /** Position of the chunk in the file. */
  #start = 0;

  constructor(connection: Connection, url: URL, { path, size }: { readonly path: string; readonly size: number }) {
    this.#connection = connection;
    this.#url = url;
    this.#size = size;
    this.#path = path;
  }

  /** @throws NoRanges; PullError if the hub does not deliver the bytes */
  async read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    if (position >= this.#size || length === 0) return { bytesRead: 0 };
    if (position < this.#start || position >= this.#start + this.#chunk.length) await this.#fetch(position);
    const from = position - this.#start;
    const bytesRead = this.#chunk.copy(target, offset, from, from + length);
    return { bytesRead };
  }

  /** Fetches a chunk. Repeats a broken attempt as the download of a file does. */
  async #fetch(position: number): Promise<void> {
    const end = Math.min(this.#size, position + CHUNK_BYTES);
    for (let failures = 1; ; failures++) {
      const watch = this.#connection.watch();
      try {
        const response = await this.#connection.open(this.#url, { range: `bytes=${position}-${end - 1}` }, watch);
        if (!startsAt(response, position)) {
          response.body.destroy();
          throw new NoRanges(`${this.#url.host} sends no part of a file`);
        }
        this.#chunk = await this.#bytesOf(response, end - position, (bytes) => watch.received(bytes));
        this.#start = position;
        return;
      } catch (error) {
        if (!(error instanceof BrokenTransfer)) throw error;
        watch.stop();
        await this.#connection.recover(error, failures, this.#path);
      } finally {
        watch.stop();
      }
    }
  }

  async #bytesOf(
    { body }: HubResponse,
    count: number,
    received: (bytes: number) => void,
  ): Promise<Buffer<ArrayBuffer>> {
    const chunk = Buffer.alloc(count);
    let at = 0;
    try {
      for await (const piece of body as AsyncIterable<Uint8Array>) {
        received(piece.byteLength);
        chunk.set(piece.subarray(0, count - at), at);
        at = Math.min(count, at + piece.byteLength);
        if (at === count) return chunk;
      }
    } catch (error) {
      throw broken(error, this.#connection.routeTo(this.#url));
    } finally {
      body.destroy();
    }
    throw new BrokenTransfer(`${this.#url.host} stopped after ${at} of ${count} bytes`);
  }
}

/** True if the response has the bytes of the file from a position on. */
function startsAt({ status, headers }: HubResponse, position: number): boolean {
  if (status !== 206) return position === 0;
  const [, start] = /^bytes (\d{1,15})-/.exec(String(headers['content-range'] ?? '')) ?? [];
  return Number(start) === position;
}
