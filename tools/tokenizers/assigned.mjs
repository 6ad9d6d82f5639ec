/**
 * The code points that Unicode 14 assigns, by the tables of Debian's python3 (3.11), without the code points that
 * the tables of the native library lack. Versions of Node treat newer code points differently, so no fixture can
 * hold for them.
 */
import { execFileSync } from 'node:child_process';

const PROGRAM = `
import unicodedata
assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
print(" ".join(str(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and unicodedata.category(chr(c)) != "Cn"))
`;
/** Punctuation since Unicode 8 and compatibility forms since Unicode 13. They affect only NFKC and `Punctuation`. */
const TOO_NEW = [
  '61d 9fd a76 c77 c84 166d 1b7d-1b7e 2e43-2e4f 2e52-2e5d 10ead 10f55-10f59 10f86-10f89 111c9 1144b-1144f 1145a-1145b 1145d 11660-1166c 116b9 1183b 11944-11946 119e2 11a3f-11a46 11a9a-11a9c 11a9e-11aa2 11c41-11c45 11c70-11c71 11ef7-11ef8 11fff 12ff1-12ff2 16e97-16e9a 16fe2 1e95e-1e95f',
  'a7f2-a7f4 107a2 107a5 1f16c 1fbf0-1fbf9',
]
  .flatMap((ranges) => ranges.split(' '))
  .map((range) => range.split('-').map((code) => Number.parseInt(code, 16)))
  .map(([first, last = first]) => [first, last]);

const codes = execFileSync('python3', ['-c', PROGRAM], { encoding: 'utf8', maxBuffer: 2 ** 24 }).trim().split(' ').map(Number);
const tooNew = (code) => TOO_NEW.some(([first, last]) => code >= first && code <= last);

/** The assigned code points of a range. Beyond U+3400, where scripts are large or rare, the first of every 256 are enough. */
export function assigned(first, last) {
  const enough = (code) => code < 0x3400 || code % 256 < 24 || (code >= 0xf900 && code < 0x10000) || code > 0x10fff0;
  return codes.filter((code) => code >= first && code <= last && !tooNew(code) && enough(code));
}
