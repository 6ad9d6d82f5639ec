/**
 * Reads a body into memory: at most the limit, as it arrives and after it is decoded.
 */
import type { Readable } from 'node:stream';
import { WorkerError } from '../../contract/errors.ts';
import { type Coding, Decoder } from './coding.ts';

/** Bytes of the first buffer of a body. */
const FIRST_BYTES = 16 * 1024;

interface BodyOptions {
  readonly coding: Coding | undefined;
  /** Maximum bytes. */
  readonly limit: number;
}

/**
 * The bytes of a body without its content coding. Stops at the first byte too many.
 * @throws WorkerError `PAYLOAD_TOO_LARGE`; `INVALID_REQUEST` for corrupt data, and if the client leaves
 */
export async function readBody(source: Readable, { coding, limit }: BodyOptions): Promise<Buffer> {
  // One buffer that doubles. A list of pieces would take hundreds of bytes for each piece, even of one byte.
  let gathered = Buffer.allocUnsafe(Math.min(FIRST_BYTES, limit));
  let size = 0;
  const take = (piece: Buffer): void => {
    const end = size + piece.length;
    if (end > limit) throw tooLargeError(limit);
    if (end > gathered.length) gathered = grown(gathered, Math.min(limit, Math.max(end, 2 * gathered.length)));
    piece.copy(gathered, size);
    size = end;
  };
  const decoder = coding && new Decoder(coding, take);
  let received = 0;
  try {
    for await (const data of arriving(source)) {
      received += data.length;
      if (received > limit) throw tooLargeError(limit);
      if (decoder) await decoder.write(data);
      else take(data);
    }
    if (received > 0) await decoder?.end();
  } finally {
    decoder?.close();
    // Without a reader, the client could not send the rest, and would not read the answer.
    source.resume();
  }
  return gathered.subarray(0, size);
}

/** A copy of `bytes` with room for more. */
function grown(bytes: Buffer, length: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafe(length);
  bytes.copy(larger);
  return larger;
}

/** The data of a stream. A caller that stops early does not destroy the stream, which has the connection. */
async function* arriving(source: Readable): AsyncGenerator<Buffer, void> {
  const data = source.iterator({ destroyOnReturn: false });
  try {
    yield* data as AsyncIterable<Buffer>;
  } catch {
    const message = 'body must arrive completely';
    throw new WorkerError('INVALID_REQUEST', message, {
      violations: [{ field: 'body', constraint: 'complete', message }],
    });
  }
}

/** The refusal of a body that has more than `limit` bytes. */
export function tooLargeError(limit: number): WorkerError {
  const message = `The request body must have at most ${limit} bytes, as sent and decoded; --max-prompt-chars sets this limit.`;
  return new WorkerError('PAYLOAD_TOO_LARGE', message, { details: { max_bytes: limit } });
}
