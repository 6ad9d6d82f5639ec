/** The bytes of characters: as UTF-8, or in the spelling of JSON.stringify inside a string. Pure. */
import type { CharAutomaton } from './program.ts';

/** `raw`: UTF-8. `json`: inside a string of JSON, each character in one spelling. */
export type Spelling = 'raw' | 'json';

const encoder = new TextEncoder();
/** Characters with an escape of two bytes. */
const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

export const bytesOfLiteral = (text: string): Uint8Array => encoder.encode(text);

/** The number of bytes of a text without half surrogate pairs. */
export function lengthOfLiteral(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    // Two halves of a pair have two bytes each.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes;
}

/** The bytes of one code point, which is no surrogate. */
export function bytesOfChar(code: number, spelling: Spelling): Uint8Array {
  if (spelling === 'json') {
    const short = SHORT_ESCAPES[code];
    if (short !== undefined) return encoder.encode(short);
    if (code < 0x20) return encoder.encode(`\\u${code.toString(16).padStart(4, '0')}`);
  }
  return encoder.encode(String.fromCodePoint(code));
}

/** The number of bytes of a code point. */
export function lengthOfChar(code: number, spelling: Spelling): number {
  if (spelling === 'json') {
    if (SHORT_ESCAPES[code] !== undefined) return 2;
    if (code < 0x20) return 6;
  }
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
}

/** First code points of runs whose characters have the same number of bytes, and are spelled alike. */
const RUNS: Readonly<Record<Spelling, readonly number[]>> = {
  raw: [0, 0x80, 0x800, 0x1_0000],
  json: [0, 8, 11, 12, 14, 0x20, 0x22, 0x23, 0x5c, 0x5d, 0x80, 0x800, 0x1_0000],
};

/** The code point of a range whose spelling is the shortest, the lowest of equals. */
export function cheapestIn(first: number, last: number, spelling: Spelling): number {
  let best = first;
  for (const start of RUNS[spelling]) {
    if (start <= first || start > last) continue;
    if (lengthOfChar(start, spelling) < lengthOfChar(best, spelling)) best = start;
  }
  return best;
}

/** Bytes from each state of an automaton to the nearest accepting state. */
export function shortestInside({ edges, accepts }: CharAutomaton, spelling: Spelling): Float64Array {
  const lengths = Float64Array.from(accepts, (accepting) => (accepting ? 0 : Number.POSITIVE_INFINITY));
  const { starts, sources, bytes } = incoming(edges, spelling);
  const queue: number[] = [];
  for (let state = 0; state < accepts.length; state += 1) if (accepts[state]) queue.push(state);
  for (let place = 0; place < queue.length; place += 1) {
    const state = queue[place] ?? 0;
    const rest = lengths[state] ?? 0;
    for (let at = starts[state] ?? 0; at < (starts[state + 1] ?? 0); at += 1) {
      const source = sources[at] ?? 0;
      const length = (bytes[at] ?? 0) + rest;
      if (length >= (lengths[source] ?? 0)) continue;
      lengths[source] = length;
      queue.push(source);
    }
  }
  return lengths;
}

/** The edges by their targets: those to a state are at `starts[state]` and before `starts[state + 1]`. */
function incoming(
  edges: CharAutomaton['edges'],
  spelling: Spelling,
): { readonly starts: Int32Array; readonly sources: Int32Array; readonly bytes: Uint8Array } {
  const starts = new Int32Array(edges.length + 1);
  for (const ranges of edges)
    for (let at = 2; at < ranges.length; at += 3) {
      const target = ranges[at] ?? 0;
      starts[target] = (starts[target] ?? 0) + 1;
    }
  for (let state = 1; state < starts.length; state += 1)
    starts[state] = (starts[state] ?? 0) + (starts[state - 1] ?? 0);
  const count = starts[edges.length] ?? 0;
  const [sources, bytes] = [new Int32Array(count), new Uint8Array(count)];
  for (let state = 0; state < edges.length; state += 1) {
    const ranges = edges[state] ?? [];
    for (let at = 0; at < ranges.length; at += 3) {
      const [first = 0, last = 0, target = 0] = [ranges[at], ranges[at + 1], ranges[at + 2]];
      const place = (starts[target] ?? 0) - 1;
      starts[target] = place;
      sources[place] = state;
      bytes[place] = lengthOfChar(first === last ? first : cheapestIn(first, last, spelling), spelling);
    }
  }
  return { starts, sources, bytes };
}
