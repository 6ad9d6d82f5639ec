/**
 * The content codings that a body may have (RFC 9110, section 8.4.1), and their decoders. Node's zlib decodes
 * on a thread, in pieces of 16 KiB: the event loop only receives them.
 */
import { once } from 'node:events';
import {
  type BrotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
} from 'node:zlib';
import { WorkerError } from '../../contract/errors.ts';

/** The names of the codings, in the order in which the worker offers them. */
export const CODINGS = ['gzip', 'deflate', 'br'] as const;
export type Coding = (typeof CODINGS)[number];

/** Other names of a coding. A recipient treats `x-gzip` like `gzip` (RFC 9110, section 8.4.1.3). */
const ALIASES: Readonly<Record<string, Coding>> = { 'x-gzip': 'gzip' };

type Decompressor = ReturnType<typeof createGunzip> | BrotliDecompress;

/**
 * The coding of a header `Content-Encoding`: undefined without one, `unknown` for any other one and for
 * several together.
 */
export function codingOf(header: string | undefined): Coding | 'unknown' | undefined {
  const names = (header ?? '').split(',').map((name) => name.trim().toLowerCase());
  const [name, ...others] = names.filter((each) => each !== '' && each !== 'identity');
  if (name === undefined) return undefined;
  if (others.length > 0) return 'unknown';
  return CODINGS.find((coding) => coding === name) ?? ALIASES[name] ?? 'unknown';
}

/** True if the data has the header of zlib. Many clients send `deflate` without it. */
const hasZlibHeader = (firstByte: number): boolean => (firstByte & 0x0f) === 8;

function decompressorOf(coding: Coding, firstByte: number): Decompressor {
  if (coding === 'gzip') return createGunzip();
  if (coding === 'br') return createBrotliDecompress();
  return hasZlibHeader(firstByte) ? createInflate() : createInflateRaw();
}

/** Decodes one body. Every method rejects with `INVALID_REQUEST` if the data is corrupt. */
export class Decoder {
  readonly #coding: Coding;
  readonly #take: (piece: Buffer) => void;
  #decompressor: Decompressor | undefined;
  #failed: Promise<never> | undefined;
  #written = 0;

  /** @param take gets each decoded piece; an error that it throws rejects the call that is running */
  constructor(coding: Coding, take: (piece: Buffer) => void) {
    this.#coding = coding;
    this.#take = take;
  }

  /** Resolves when the data is decoded. */
  async write(data: Buffer): Promise<void> {
    if (data.length === 0) return;
    const decompressor = this.#decompressor ?? this.#start(data[0] ?? 0);
    this.#written += data.length;
    await this.#orFailure(new Promise<void>((resolve) => decompressor.write(data, () => resolve())));
    // Data behind the end of the coded body.
    if (decompressor.bytesWritten < this.#written) throw corruptError(this.#coding);
  }

  /** Call after the last data. */
  async end(): Promise<void> {
    const decompressor = this.#decompressor;
    if (!decompressor) throw corruptError(this.#coding);
    decompressor.end();
    if (!decompressor.readableEnded) await this.#orFailure(once(decompressor, 'end'));
  }

  /** Frees the memory of the decompressor, and stops its work. */
  close(): void {
    this.#decompressor?.destroy();
  }

  #start(firstByte: number): Decompressor {
    const decompressor = decompressorOf(this.#coding, firstByte);
    this.#decompressor = decompressor;
    this.#failed = new Promise((_, reject) => {
      decompressor.on('error', (error) => reject(error instanceof WorkerError ? error : corruptError(this.#coding)));
      decompressor.on('data', (piece: Buffer) => {
        try {
          this.#take(piece);
        } catch (error) {
          reject(error);
          decompressor.destroy();
        }
      });
    });
    this.#failed.catch(() => undefined); // A failure between two calls rejects the next one.
    return decompressor;
  }

  async #orFailure(work: Promise<unknown>): Promise<void> {
    await Promise.race([this.#failed, work]);
  }
}

function corruptError(coding: Coding): WorkerError {
  const message = `body must be one complete, valid piece of ${coding} data, because Content-Encoding is ${coding}`;
  return new WorkerError('INVALID_REQUEST', message, {
    violations: [{ field: 'body', constraint: 'encoding', message }],
  });
}
