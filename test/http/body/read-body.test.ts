/** The memory of a body that is decoded: the work stops at the first byte too many. */
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Decoder } from '../../../src/http/body/coding.ts';
import { readBody } from '../../../src/http/body/read-body.ts';

const LIMIT = 100_000;
/** 16 MB of one character in some 16 KB, less in brotli. */
const LONG = Buffer.alloc(16 * 2 ** 20, 'a');

const BOMBS = [
  ['gzip', gzipSync(LONG)],
  ['deflate', deflateSync(LONG)],
  ['deflate', deflateRawSync(LONG)],
  ['br', brotliCompressSync(LONG, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
] as const;

describe.each(BOMBS)('a bomb in %s', (coding, bomb) => {
  test('is refused', async () => {
    const source = Readable.from([bomb], { objectMode: false });
    await expect(readBody(source, { coding, limit: LIMIT })).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      details: { max_bytes: LIMIT },
    });
  });

  test('is not decoded beyond the limit', async () => {
    let size = 0;
    const decoder = new Decoder(coding, (piece) => {
      size += piece.length;
      if (size > LIMIT) throw new Error('too much');
    });
    await expect(decoder.write(bomb)).rejects.toThrow('too much');
    decoder.close();
    // One piece of 16 KiB more, at most.
    expect(size).toBeLessThanOrEqual(LIMIT + 16 * 1024);
  });
});

test.each([
  ['gzip', gzipSync('The sea')],
  ['deflate', deflateSync('The sea')],
  ['deflate', deflateRawSync('The sea')],
  ['br', brotliCompressSync('The sea')],
] as const)('%s may arrive byte by byte', async (coding, bytes) => {
  const pieces: Buffer[] = [];
  const decoder = new Decoder(coding, (piece) => pieces.push(piece));
  for (const byte of bytes) await decoder.write(Buffer.from([byte]));
  await decoder.end();
  decoder.close();
  expect(Buffer.concat(pieces).toString()).toBe('The sea');
});

test('a piece is copied when it arrives: many small ones take no more memory than their bytes', async () => {
  // The same few buffers again and again: a reader that kept them would see the last bytes only.
  const ring = Array.from({ length: 8 }, () => Buffer.alloc(1));
  const text = 'the sea and the wind '.repeat(2_000);
  async function* pieces(): AsyncGenerator<Buffer> {
    for (const [at, character] of [...text].entries()) {
      const piece = ring[at % ring.length] as Buffer;
      piece.write(character);
      yield piece;
    }
  }
  const source = Readable.from(pieces(), { objectMode: true, highWaterMark: 1 });
  expect(String(await readBody(source, { coding: undefined, limit: LIMIT }))).toBe(text);
});

test('bytes as they are have the same limit', async () => {
  const bytes = (length: number): Readable => Readable.from([Buffer.alloc(length, 'a')], { objectMode: false });
  expect(await readBody(bytes(LIMIT), { coding: undefined, limit: LIMIT })).toHaveLength(LIMIT);
  const beyond = readBody(bytes(LIMIT + 1), { coding: undefined, limit: LIMIT });
  await expect(beyond).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
});

test('compressed bytes that decode to nothing have the limit, too', async () => {
  // Members of gzip without content.
  const member = gzipSync('');
  const source = Readable.from([Buffer.concat(Array(Math.ceil(LIMIT / member.length) + 1).fill(member))], {
    objectMode: false,
  });
  await expect(readBody(source, { coding: 'gzip', limit: LIMIT })).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
});

test('a body that does not arrive completely is refused, and the stream of a refused one is read to its end', async () => {
  const left = new PassThrough();
  const reading = readBody(left, { coding: 'gzip', limit: LIMIT });
  left.write(gzipSync('x').subarray(0, 12));
  left.destroy(new Error('aborted'));
  await expect(reading).rejects.toMatchObject({ code: 'INVALID_REQUEST', violations: [{ constraint: 'complete' }] });

  const source = new PassThrough();
  const refused = readBody(source, { coding: undefined, limit: 10 });
  source.write('x'.repeat(20));
  await expect(refused).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  const ended = once(source, 'end');
  source.end('y'.repeat(200_000));
  await ended;
});
