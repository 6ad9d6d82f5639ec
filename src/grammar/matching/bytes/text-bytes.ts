/** The bytes of free strings of JSON as small automata: tables of `[state * 256 + byte]`. Pure. */

import { QUOTE_BYTE } from './json-bytes.ts';

const BACKSLASH = 0x5c;

/** In a table: the byte is not allowed. */
export const REFUSED = -1;
/** The state between two characters; a transition to it completes a character. */
export const BETWEEN = 0;

/** States of UTF-8 between the bytes of a character. Rule: Unicode 16, table 3-7. */
const ONE_MORE = 1;
const TWO_MORE = 2;
const THREE_MORE = 3;
const AFTER_E0 = 4;
const AFTER_ED = 5;
const AFTER_F0 = 6;
const AFTER_F4 = 7;
const ESCAPE = 8;
/** States behind `\u`, in any spelling. A high surrogate must be followed by a low one. */
const HEX = 9;
const HEX_3 = 10;
const HEX_AFTER_D = 11;
const HEX_2 = 12;
const HEX_1 = 13;
const HIGH_2 = 14;
const HIGH_1 = 15;
const LOW_BACKSLASH = 16;
const LOW_U = 17;
const LOW_D = 18;
const LOW_3 = 19;
const LOW_2 = 20;
const LOW_1 = 21;
/** States behind `\u`, in the spelling of JSON.stringify: `\u00` and two digits of a control character. */
const NAME_U = 9;
const NAME_0 = 10;
const NAME_00 = 11;
const NAME_000 = 12;
const NAME_001 = 13;
const STATES = 22;

class Table {
  readonly next = new Int8Array(STATES * 256).fill(REFUSED);

  constructor() {
    this.on(BETWEEN, range(0x20, 0x7f), BETWEEN);
    for (const special of '"\\') this.on(BETWEEN, special, REFUSED);
    this.on(BETWEEN, range(0xc2, 0xdf), ONE_MORE);
    this.on(BETWEEN, range(0xe1, 0xef), TWO_MORE);
    this.on(BETWEEN, [0xe0], AFTER_E0);
    this.on(BETWEEN, [0xed], AFTER_ED);
    this.on(BETWEEN, range(0xf1, 0xf3), THREE_MORE);
    this.on(BETWEEN, [0xf0], AFTER_F0);
    this.on(BETWEEN, [0xf4], AFTER_F4);
    this.on(ONE_MORE, range(0x80, 0xbf), BETWEEN);
    this.on(TWO_MORE, range(0x80, 0xbf), ONE_MORE);
    this.on(THREE_MORE, range(0x80, 0xbf), TWO_MORE);
    this.on(AFTER_E0, range(0xa0, 0xbf), ONE_MORE);
    this.on(AFTER_ED, range(0x80, 0x9f), ONE_MORE);
    this.on(AFTER_F0, range(0x90, 0xbf), TWO_MORE);
    this.on(AFTER_F4, range(0x80, 0x8f), TWO_MORE);
    this.on(BETWEEN, '\\', ESCAPE);
  }

  on(state: number, bytes: string | readonly number[], target: number): void {
    const all = typeof bytes === 'string' ? Array.from(bytes, (one) => one.charCodeAt(0)) : bytes;
    for (const byte of all) this.next[state * 256 + byte] = target;
  }
}

const range = (first: number, last: number): readonly number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

const HEX_DIGITS = '0123456789abcdefABCDEF';

/** Inside a string of JSON, in any spelling, without half surrogate pairs. The quote is not part of it. */
export const ANY_SPELLING: Int8Array = (() => {
  const table = new Table();
  table.on(ESCAPE, '"\\/bfnrt', BETWEEN);
  table.on(ESCAPE, 'u', HEX);
  table.on(HEX, HEX_DIGITS, HEX_3);
  table.on(HEX, 'dD', HEX_AFTER_D);
  table.on(HEX_3, HEX_DIGITS, HEX_2);
  table.on(HEX_AFTER_D, '01234567', HEX_2);
  table.on(HEX_AFTER_D, '89abAB', HIGH_2);
  table.on(HEX_2, HEX_DIGITS, HEX_1);
  table.on(HEX_1, HEX_DIGITS, BETWEEN);
  table.on(HIGH_2, HEX_DIGITS, HIGH_1);
  table.on(HIGH_1, HEX_DIGITS, LOW_BACKSLASH);
  table.on(LOW_BACKSLASH, '\\', LOW_U);
  table.on(LOW_U, 'u', LOW_D);
  table.on(LOW_D, 'dD', LOW_3);
  table.on(LOW_3, 'cdefCDEF', LOW_2);
  table.on(LOW_2, HEX_DIGITS, LOW_1);
  table.on(LOW_1, HEX_DIGITS, BETWEEN);
  return table.next;
})();

/** Inside a name of a member: each character in the spelling of JSON.stringify. */
export const ONE_SPELLING: Int8Array = (() => {
  const table = new Table();
  table.on(ESCAPE, '"\\bfnrt', BETWEEN);
  table.on(ESCAPE, 'u', NAME_U);
  table.on(NAME_U, '0', NAME_0);
  table.on(NAME_0, '0', NAME_00);
  table.on(NAME_00, '0', NAME_000);
  table.on(NAME_00, '1', NAME_001);
  table.on(NAME_000, '01234567bef', BETWEEN);
  table.on(NAME_001, '0123456789abcdef', BETWEEN);
  return table.next;
})();

/** The bytes that a state of a table tells apart from the byte before. */
export const TEXT_CUTS: readonly number[] = range(1, 255).filter((byte) => {
  for (let at = byte; at < STATES * 256; at += 256)
    if (ANY_SPELLING[at] !== ANY_SPELLING[at - 1] || ONE_SPELLING[at] !== ONE_SPELLING[at - 1]) return true;
  return false;
});

/** For each state of a table: the fewest bytes to `BETWEEN`, and the first of them. */
interface Ways {
  readonly lengths: Uint8Array;
  readonly bytes: Uint8Array;
}

export function shortestWays(next: Int8Array): Ways {
  const lengths = new Uint8Array(STATES).fill(255);
  const bytes = new Uint8Array(STATES);
  lengths[BETWEEN] = 0;
  const steps = stepsOf(next);
  for (let round = 1; round < STATES; round += 1)
    for (const { state, byte, target } of steps) {
      if ((lengths[target] ?? 255) !== round - 1 || (lengths[state] ?? 0) < round) continue;
      lengths[state] = round;
      bytes[state] = byte;
    }
  return { lengths, bytes };
}

/** The transitions of a table from the states inside of a character, the greatest bytes first. */
function stepsOf(next: Int8Array): readonly { state: number; byte: number; target: number }[] {
  const steps: { state: number; byte: number; target: number }[] = [];
  for (let state = 1; state < STATES; state += 1)
    for (let byte = 255; byte >= 0; byte -= 1) {
      const target = next[state * 256 + byte] ?? REFUSED;
      if (target !== REFUSED) steps.push({ state, byte, target });
    }
  return steps;
}

/** The way of a text of bytes through a string of JSON, from one character to the next. */
export interface WayInString {
  /**
   * `plain`: the text stays inside of the string, possibly in the middle of a character; `ends`: a quote
   * follows on plain characters; `escapes`: a backslash follows on them; `leaves`: none of these.
   */
  readonly kind: 'plain' | 'ends' | 'escapes' | 'leaves';
  /** Plain characters. */
  readonly chars: number;
  /** Bytes of the plain characters. */
  readonly bytes: number;
}

export function wayInString(bytes: ArrayLike<number>): WayInString {
  let state: number = BETWEEN;
  let chars = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (state === BETWEEN && byte === QUOTE_BYTE) return { kind: 'ends', chars, bytes: at };
    if (state === BETWEEN && byte === BACKSLASH) return { kind: 'escapes', chars, bytes: at };
    if (state === BETWEEN) chars += 1;
    state = ONE_SPELLING[state * 256 + byte] ?? REFUSED;
    if (state === REFUSED) return { kind: 'leaves', chars, bytes: at };
  }
  return { kind: 'plain', chars, bytes: bytes.length };
}
