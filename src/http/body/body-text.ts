/**
 * Bytes of a body → its text. A byte that is not UTF-8 is an error: a replacement character would change the
 * prompt without a trace. Pure.
 */
import { isUtf8 } from 'node:buffer';
import { WorkerError } from '../../contract/errors.ts';

const REPLACEMENT = '\ufffd';
/** The replacement character in UTF-8. */
const REPLACEMENT_BYTES = [0xef, 0xbf, 0xbd] as const;
const BYTE_ORDER_MARK = 0xfeff;

/**
 * The text of a body, without a byte order mark at its begin.
 * @throws WorkerError `INVALID_REQUEST` that names the first byte that is not UTF-8
 */
export function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw notUtf8Error(firstInvalidByte(bytes));
  const text = bytes.toString('utf8');
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
}

/** Bytes that are checked together: only the block with the first wrong byte is read byte by byte. */
const BLOCK = 4096;
/** Maximum bytes of a character behind its first one. */
const MAX_CONTINUATION = 3;

/** Offset of the first byte that is not part of a character. */
function firstInvalidByte(bytes: Buffer): number {
  let start = 0;
  for (;;) {
    const block = bytes.subarray(start, endOfBlock(bytes, start));
    if (!isUtf8(block) || block.length === 0) return start + firstReplaced(block);
    start += block.length;
  }
}

/** The end of a block that does not cut a character, unless its bytes are invalid. */
function endOfBlock(bytes: Buffer, start: number): number {
  const most = Math.min(start + BLOCK, bytes.length);
  for (let end = most; end >= most - MAX_CONTINUATION && end > start; end -= 1)
    if (((bytes[end] ?? 0) & 0xc0) !== 0x80) return end;
  return most;
}

/** Offset of the first byte that the decoder replaces. */
function firstReplaced(block: Buffer): number {
  const text = block.toString('utf8');
  let offset = 0;
  let from = 0;
  for (let at = text.indexOf(REPLACEMENT); at >= 0; at = text.indexOf(REPLACEMENT, from)) {
    offset += Buffer.byteLength(text.slice(from, at));
    const isGenuine = REPLACEMENT_BYTES.every((byte, index) => block[offset + index] === byte);
    if (!isGenuine) return offset;
    offset += REPLACEMENT_BYTES.length;
    from = at + 1;
  }
  return offset; // Not reached: an invalid byte leaves a replacement.
}

function notUtf8Error(offset: number): WorkerError {
  const message = `body must be UTF-8, but its byte ${offset} (counted from 0) is not`;
  return new WorkerError('INVALID_REQUEST', message, {
    violations: [{ field: 'body', constraint: 'utf8', message }],
  });
}
