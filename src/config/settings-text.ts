/**
 * The text of a file of settings, which editors and shells save in several encodings: UTF-8 with or without a
 * byte-order mark, and UTF-16 with one (Windows PowerShell). Pure.
 */
import { isUtf8 } from 'node:buffer';

/** Byte-order marks and their encodings. */
const MARKS = [
  { encoding: 'utf-8', bytes: [0xef, 0xbb, 0xbf] },
  { encoding: 'utf-16le', bytes: [0xff, 0xfe] },
  { encoding: 'utf-16be', bytes: [0xfe, 0xff] },
] as const;

const LINE_END = 0x0a;

/**
 * Decodes the bytes of a file.
 * @param mayBeForeign true: bytes that are not UTF-8 are replaced in lines that set nothing of the worker
 * @throws Error with the reason: `is not valid UTF-8 in line 3`
 */
export function settingsText(bytes: Buffer, mayBeForeign: boolean): string {
  const encoding = MARKS.find((mark) => mark.bytes.every((byte, index) => bytes[index] === byte))?.encoding ?? 'utf-8';
  if (encoding === 'utf-8' && bytes.includes(0) && (!mayBeForeign || setsSomething(bytes)))
    throw new Error('contains a zero byte, so it is not a text, or UTF-16 without a byte-order mark');
  const text = encoding === 'utf-8' ? utf8Text(bytes, mayBeForeign) : utf16Text(bytes, encoding);
  // UTF-32 begins with the byte-order mark of UTF-16.
  if (text.includes('\0') && (!mayBeForeign || setsSomething(bytes)))
    throw new Error('contains a zero character, so it is not a text, or UTF-32');
  return text.replace(/\r\n?/g, '\n');
}

/** True if the name of a setting is in the bytes, also in UTF-16. */
const setsSomething = (bytes: Buffer): boolean => bytes.toString('latin1').replaceAll('\0', '').includes('RBEES_');

function utf8Text(bytes: Buffer, mayBeForeign: boolean): string {
  const wrong = lineThat(bytes, (line) => !isUtf8(line) && (!mayBeForeign || setsSomething(line)));
  if (wrong !== undefined) throw new Error(`is not valid UTF-8 in line ${wrong}`);
  return new TextDecoder().decode(bytes);
}

function utf16Text(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be'): string {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`begins with the byte-order mark of ${encoding.toUpperCase()}, but is not valid in this encoding`);
  }
}

/** Number of the first line that satisfies `fits`, from 1; undefined if there is none. */
function lineThat(bytes: Buffer, fits: (line: Buffer) => boolean): number | undefined {
  let number = 1;
  for (let start = 0; start <= bytes.length; number += 1) {
    const found = bytes.indexOf(LINE_END, start);
    const end = found === -1 ? bytes.length : found;
    if (fits(bytes.subarray(start, end))) return number;
    start = end + 1;
  }
  return undefined;
}
