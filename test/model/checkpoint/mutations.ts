/** Random changes of files for tests, the same in every run, and the form of a problem. */
import { expect } from 'vitest';

/** A generator of whole numbers below a limit (xorshift32). */
export function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const DIGITS = '9'.repeat(20);
const PIECES = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\\',
  '0',
  '-',
  '1e9',
  DIGITS,
  'null',
  '"dtype"',
  '[0,4]',
  'F64',
  ' ',
];
const RARE = ['\u0000', '\u001b', '\\u0000', '\u202e', '__proto__', '"x":[{"y":1}],', '../', '.safetensors'];

/** Changes bytes, inserts pieces, and cuts or repeats parts. */
export function mutated(text: Uint8Array, below: (limit: number) => number): Buffer {
  let bytes = Buffer.from(text);
  for (let change = below(3); change >= 0 && bytes.length > 0; change--) {
    const at = below(bytes.length);
    const pieces = below(3) === 0 ? RARE : PIECES;
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const kind = below(7);
    if (kind === 0) bytes[at] = below(256);
    if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
    if (kind === 2) bytes = Buffer.concat([before, Buffer.from(pieces[below(pieces.length)] ?? ''), after]);
    if (kind === 3) bytes = Buffer.concat([before, after.subarray(below(20))]);
    if (kind === 4) bytes = Buffer.concat([before, bytes.subarray(Math.max(0, at - below(60)))]);
    if (kind === 5) bytes = Buffer.from(bytes.toString('latin1').replace(/\d/, String(below(10))), 'latin1');
    if (kind === 6 && below(4) === 0) bytes = before;
  }
  return bytes;
}

/** Expects a text that can follow the name of a file: one line, no control characters, short enough for a log. */
export function expectSentence(problem: string): void {
  expect(problem).toMatch(/^[a-z][^\p{C}\u2028\u2029]{5,500}$/u);
  expect(problem).not.toMatch(/undefined|NaN|Infinity|\[object|TypeError|Error:/);
}
