/**
 * The bytes of characters that an automaton restricts. Between the bytes of a character, the bytes so far are
 * a number: 0 = none. A byte is refused if no allowed character begins with the bytes. Pure.
 */
import { bytesOfChar, cheapestIn, lengthOfChar, type Spelling } from '../../spelling.ts';

/** A byte is refused. */
export const NO_CHAR = -1;
/** Added to the code point of a character that is complete. */
export const COMPLETE = 2 ** 27;

/** Partial characters. UTF-8: bits so far, bytes that follow, bytes in all. */
const UTF8 = 2 ** 26;
const MORE = 2 ** 21;
const LENGTH = 2 ** 23;
/** Escapes of JSON: the number of characters of `\u00xx` so far, 1 to 5; the fifth with its digit. */
const ESCAPE = 1;
const UNICODE = 2;
const UNICODE_0 = 3;
const UNICODE_00 = 4;
const UNICODE_000 = 5;
const UNICODE_001 = 6;

const CODE_OF_ESCAPE: Readonly<Record<string, number>> = {
  '"': 0x22,
  '\\': 0x5c,
  b: 8,
  t: 9,
  n: 10,
  f: 12,
  r: 13,
};
/** Smallest code point of a UTF-8 sequence of this length. */
const SMALLEST = [0, 0, 0x80, 0x800, 0x1_0000];

/** Edges of a state: see `CharAutomaton.edges`. */
type Edges = readonly number[];

/**
 * Reads one byte.
 * @param partial the bytes of the character so far
 * @returns the new partial character, `COMPLETE` plus a code point, or `NO_CHAR`
 */
export function readByte(partial: number, byte: number, edges: Edges, spelling: Spelling): number {
  if (partial >= UTF8) return nextOfUtf8(partial, byte, edges);
  if (partial > 0) return nextOfEscape(partial, byte, edges);
  if (byte < 0x80) {
    if (spelling === 'json') {
      if (byte === 0x5c) return hasEscape(edges) ? ESCAPE : NO_CHAR;
      if (byte === 0x22 || byte < 0x20) return NO_CHAR;
    }
    return completed(byte, edges);
  }
  if (byte < 0xc2 || byte > 0xf4) return NO_CHAR;
  const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
  return utf8(byte & (0xff >> (length + 1)), length - 1, length, edges);
}

function nextOfUtf8(partial: number, byte: number, edges: Edges): number {
  if ((byte & 0xc0) !== 0x80) return NO_CHAR;
  const { value, more, length } = partsOf(partial);
  return utf8((value << 6) | (byte & 0x3f), more - 1, length, edges);
}

const partsOf = (partial: number) => ({
  value: partial & (MORE - 1),
  more: (partial >> 21) & 3,
  length: ((partial >> 23) & 7) as number,
});

/** A sequence of UTF-8 with these bits, if one of its characters is allowed. */
function utf8(value: number, more: number, length: number, edges: Edges): number {
  if (more === 0) return completed(value, edges);
  const [first, last] = rangeOf(value, more, length);
  if (first > last || cheapest(first, last, edges) === NO_CHAR) return NO_CHAR;
  return UTF8 + value + more * MORE + length * LENGTH;
}

/** The code points of sequences that begin with these bits. */
function rangeOf(value: number, more: number, length: number): [first: number, last: number] {
  const first = Math.max(value * 64 ** more, SMALLEST[length] ?? 0);
  const last = Math.min(value * 64 ** more + 64 ** more - 1, 0x10_ffff);
  if (first >= 0xd800 && last <= 0xdfff) return [1, 0];
  return [first, last];
}

function nextOfEscape(partial: number, byte: number, edges: Edges): number {
  const char = String.fromCharCode(byte);
  if (partial === ESCAPE) {
    if (char === 'u') return hasControl(edges, 0) || hasControl(edges, 0x10) ? UNICODE : NO_CHAR;
    const code = CODE_OF_ESCAPE[char];
    return code === undefined ? NO_CHAR : completed(code, edges);
  }
  if (partial === UNICODE) return char === '0' ? UNICODE_0 : NO_CHAR;
  if (partial === UNICODE_0) return char === '0' ? UNICODE_00 : NO_CHAR;
  if (partial === UNICODE_00) {
    if (char === '0') return hasControl(edges, 0) ? UNICODE_000 : NO_CHAR;
    return char === '1' && hasControl(edges, 0x10) ? UNICODE_001 : NO_CHAR;
  }
  const digit = '0123456789abcdef'.indexOf(char);
  const code = digit + (partial === UNICODE_001 ? 0x10 : 0);
  return digit < 0 || hasShortEscape(code) ? NO_CHAR : completed(code, edges);
}

const hasShortEscape = (code: number): boolean => (code >= 8 && code <= 10) || code === 12 || code === 13;

const completed = (code: number, edges: Edges): number =>
  targetOf(code, edges) === NO_CHAR ? NO_CHAR : COMPLETE + code;

/** The state that a character leads to; `NO_CHAR` if it is not allowed. */
export function targetOf(code: number, edges: Edges): number {
  let low = 0;
  let high = edges.length / 3;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > (edges[3 * middle + 1] ?? 0)) low = middle + 1;
    else high = middle;
  }
  return low < edges.length / 3 && code >= (edges[3 * low] ?? 0) ? (edges[3 * low + 2] ?? NO_CHAR) : NO_CHAR;
}

/** An allowed character whose spelling begins with a backslash and no `u`. */
const hasEscape = (edges: Edges): boolean =>
  cheapest(0, 0x1f, edges) !== NO_CHAR || targetOf(0x22, edges) !== NO_CHAR || targetOf(0x5c, edges) !== NO_CHAR;

/** An allowed control character of a group of 16 that has no short escape. */
function hasControl(edges: Edges, first: number): boolean {
  for (let code = first; code < first + 16; code += 1)
    if (!hasShortEscape(code) && targetOf(code, edges) !== NO_CHAR) return true;
  return false;
}

/** An allowed code point of a range; `NO_CHAR` if there is none. */
function cheapest(first: number, last: number, edges: Edges): number {
  for (let at = 0; at < edges.length; at += 3) {
    const low = Math.max(first, edges[at] ?? 0);
    if (low <= Math.min(last, edges[at + 1] ?? 0)) return low;
  }
  return NO_CHAR;
}

/** The way from the middle of a character, or from before it, to the nearest accepting state. */
export interface Way {
  /** Bytes to that state. */
  readonly length: number;
  /** The first of them. */
  readonly byte: number;
}

/** Bytes that a partial character has so far. */
function bytesSoFar(partial: number): number {
  if (partial === 0) return 0;
  if (partial < UTF8) return Math.min(partial, 5);
  const { more, length } = partsOf(partial);
  return length - more;
}

/** True if the spelling of a character begins with the partial one. */
function beginsWith(code: number, partial: number): boolean {
  if (partial === 0) return true;
  if (partial >= UTF8) {
    const { value, more, length } = partsOf(partial);
    const [first, last] = rangeOf(value, more, length);
    return code >= first && code <= last;
  }
  if (partial === ESCAPE) return code < 0x20 || code === 0x22 || code === 0x5c;
  if (code >= 0x20 || hasShortEscape(code)) return false;
  return partial < UNICODE_000 || code >> 4 === partial - UNICODE_000;
}

/**
 * The shortest way through one more character to an accepting state; undefined if there is none.
 * @param lengths bytes from each state to an accepting one
 */
export function shortestWay(partial: number, edges: Edges, lengths: Float64Array, spelling: Spelling): Way | undefined {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  const soFar = bytesSoFar(partial);
  for (let at = 0; at < edges.length; at += 3) {
    const code = codeIn(edges[at] ?? 0, edges[at + 1] ?? 0, partial, spelling);
    if (code === NO_CHAR) continue;
    const length = lengthOfChar(code, spelling) - soFar + (lengths[edges[at + 2] ?? 0] ?? 0);
    if (length < least) [least, best] = [length, code];
  }
  return best < 0 ? undefined : { length: least, byte: bytesOfChar(best, spelling)[soFar] ?? 0 };
}

/** The cheapest code point of a range whose spelling begins with the partial one; `NO_CHAR` for none. */
function codeIn(first: number, last: number, partial: number, spelling: Spelling): number {
  if (partial === 0) return cheapestIn(first, last, spelling);
  if (partial >= UTF8) {
    const { value, more, length } = partsOf(partial);
    const [low, high] = rangeOf(value, more, length);
    const code = Math.max(first, low);
    return code <= Math.min(last, high) ? code : NO_CHAR;
  }
  for (const code of partial === ESCAPE ? [0x22, 0x5c, 8, 9, 10, 12, 13] : [])
    if (code >= first && code <= last) return code;
  for (let code = Math.max(0, first); code <= Math.min(last, 0x1f); code += 1)
    if (beginsWith(code, partial)) return code;
  return NO_CHAR;
}

/** Adds the bytes that can begin a character, or continue a partial one: these and possibly others. */
export function addFirstBytes(partial: number, edges: Edges, spelling: Spelling, add: (byte: number) => void): void {
  if (partial >= UTF8) for (let byte = 0x80; byte <= 0xbf; byte += 1) add(byte);
  else if (partial > 0) for (const char of '"\\/bfnrtu0123456789acde') add(char.charCodeAt(0));
  else
    for (let at = 0; at < edges.length; at += 3) {
      const first = edges[at] ?? 0;
      const last = edges[at + 1] ?? 0;
      for (let code = first; code <= Math.min(last, 0x7f); code += 1) add(code);
      if (last >= 0x80) for (let byte = leadByte(Math.max(first, 0x80)); byte <= leadByte(last); byte += 1) add(byte);
    }
  if (partial === 0 && spelling === 'json') add(0x5c);
}

/** Marks the bytes that a state may tell apart from the byte before, at the beginning of a character. */
export function addCharCuts(edges: Edges, cuts: Uint8Array): void {
  cuts.fill(1, 0x80);
  for (const byte of [0x20, 0x22, 0x23, 0x5c, 0x5d]) cuts[byte] = 1;
  for (let at = 0; at < edges.length; at += 3) {
    cuts[Math.min(edges[at] ?? 0, 0x80)] = 1;
    cuts[Math.min((edges[at + 1] ?? 0) + 1, 0x80)] = 1;
  }
}

const leadByte = (code: number): number =>
  code < 0x800 ? 0xc0 | (code >> 6) : code < 0x1_0000 ? 0xe0 | (code >> 12) : 0xf0 | (code >> 18);
