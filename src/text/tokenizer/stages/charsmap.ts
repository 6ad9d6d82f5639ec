/**
 * SentencePiece's compiled normalization (`precompiled_charsmap`): a double-array trie maps byte sequences to
 * offsets in a block of zero-terminated texts. Pure except for its cache.
 */
import { lazy } from '../../../protocol/start/lazy.ts';
import { checkUnits } from '../encode-error.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/**
 * Longer graphemes (in bytes) are looked up character by character only (Rust library,
 * `normalizers/precompiled`).
 */
const LONGEST_GRAPHEME = 5;
/** Maximum number of cached graphemes and characters. */
const CACHE_SIZE = 10_000;

/** Bytes of the longest text that a map may contain. The longest one of Unicode's NFKC has 33 (U+FDFA). */
export const MAX_CHARSMAP_BYTES = 1_024;

/**
 * @returns the normalization: a text, and the UTF-16 units of the longest result
 * @throws Error if the map is truncated or makes a long text of one character.
 */
export function charsmapOf(base64: string): (text: string, most: number) => string {
  const bytes = Buffer.from(base64, 'base64');
  const trieBytes = bytes.length < 4 ? Number.POSITIVE_INFINITY : bytes.readUInt32LE(0);
  if (4 + trieBytes > bytes.length)
    throw new Error('normalizer.precompiled_charsmap is truncated: download the file again');
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, at) => bytes.readUInt32LE(4 + 4 * at));
  const texts = bytes.subarray(4 + trieBytes);
  if (longestText(texts) > MAX_CHARSMAP_BYTES)
    throw new Error(
      `normalizer.precompiled_charsmap replaces a character with more than ${MAX_CHARSMAP_BYTES} bytes: use another model`,
    );
  const cache = new Map<string, string | undefined>();
  const lookUp = (text: string): string | undefined => {
    if (cache.has(text)) return cache.get(text);
    if (cache.size >= CACHE_SIZE) cache.clear();
    const normal = textAt(texts, shortestIn(units, encoder.encode(text)));
    cache.set(text, normal);
    return normal;
  };
  const plain = PRINTABLE.every((char) => lookUp(char) === undefined);
  return (text, most) => {
    let normal = '';
    for (const grapheme of graphemesOf(text, plain)) {
      checkUnits(normal.length, most);
      if (plain && PLAIN.test(grapheme)) {
        normal += grapheme;
        continue;
      }
      const whole = Buffer.byteLength(grapheme) <= LONGEST_GRAPHEME ? lookUp(grapheme) : undefined;
      normal += whole ?? Array.from(grapheme, (char) => lookUp(char) ?? char).join('');
    }
    return normal;
  };
}

/** Loads data of ICU, which takes 10 ms. */
const segmenter = lazy(() => new Intl.Segmenter('und', { granularity: 'grapheme' }));
/**
 * UTF-16 units that are segmented at once: the work of `Intl.Segmenter` grows with the square of the length.
 */
const WINDOW = 128;
const PRINTABLE = Array.from({ length: 95 }, (_, at) => String.fromCharCode(0x20 + at));
const PLAIN = /^[ -~]{6,}$/;
const PLAIN_RUN = /[ -~]{7,}/;

/**
 * Graphemes of a text, window by window. The last grapheme of a window begins the next window, because it may
 * continue there.
 * @param plain the map leaves printable ASCII unchanged: a run of it is returned as one grapheme, without its
 *   last character
 */
function* graphemesOf(text: string, plain: boolean): Generator<string> {
  for (let from = 0, units = WINDOW; from < text.length; ) {
    const window = text.slice(from, from + units);
    const run = plain && units === WINDOW ? PLAIN_RUN.exec(window) : null;
    if (run?.index === 0) {
      yield run[0].slice(0, -1);
      from += run[0].length - 1;
      continue;
    }
    const part = run ? window.slice(0, run.index + 1) : window;
    const segments = Array.from(segmenter().segment(part), ({ segment }) => segment);
    const whole = from + part.length < text.length ? segments.slice(0, -1) : segments;
    yield* whole;
    from += whole.reduce((sum, segment) => sum + segment.length, 0);
    units = whole.length === 0 ? 2 * units : WINDOW;
  }
}

/**
 * Value of the shortest prefix of a key that the trie knows; −1 if there is none. The rest of a grapheme is
 * dropped with this prefix. This is unusual, but every model with such a map was trained this way. Bits of a
 * unit (Darts-clone): the low byte is the label, bit 8 says that a value follows, the rest is the offset.
 */
function shortestIn(units: Uint32Array, key: Uint8Array): number {
  let node = offsetOf(units[0] ?? 0);
  for (const byte of key) {
    if (byte === 0) return -1;
    node ^= byte;
    const unit = units[node] ?? 0;
    if ((unit & 0x8000_00ff) >>> 0 !== byte) return -1;
    node ^= offsetOf(unit);
    if ((unit >>> 8) & 1) return (units[node] ?? 0) & 0x7fff_ffff;
  }
  return -1;
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function longestText(texts: Uint8Array): number {
  let longest = 0;
  for (let from = 0; from < texts.length; ) {
    const end = texts.indexOf(0, from);
    longest = Math.max(longest, (end < 0 ? texts.length : end) - from);
    from = end < 0 ? texts.length : end + 1;
  }
  return longest;
}

function textAt(texts: Uint8Array, from: number): string | undefined {
  if (from < 0) return undefined;
  const end = texts.indexOf(0, from);
  return decoder.decode(texts.subarray(from, end < 0 ? texts.length : end));
}
