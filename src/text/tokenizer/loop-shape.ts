/**
 * Decides if a tokenizer may encode short texts on the event loop. There nothing can interrupt it, so its
 * patterns must be known ones: a pattern of another shape may take 2ⁿ steps for n characters. Pure.
 */
import type { Definition } from './definition.ts';
import { partsOf } from './least-tokens.ts';
import { patternFields } from './stages/patterns.ts';

/** Most parts of normalizer and pre-tokenizer together. Known tokenizers have at most eight. */
export const MAX_LOOP_PARTS = 16;

/** Words of Llama 3 and Qwen 2, with one or up to three digits. */
const words = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
/** Words of GPT-4o and Tekken, by upper and lower case. */
const casedWords = (contraction: string, digits: string): string => {
  const [upper, lower] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'];
  const before = '[^\\r\\n\\p{L}\\p{N}]?';
  return `${before}${upper}*${lower}+${contraction}|${before}${upper}+${lower}*${contraction}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
};

/**
 * Patterns that were measured: at most 45 ms for the slowest of 47 hostile texts of 2 000 characters. Every
 * other pattern runs on the thread, under its deadline.
 */
const KNOWN_PATTERNS: ReadonlySet<string> = new Set([
  words('\\p{N}'),
  words('\\p{N}{1,3}'),
  casedWords("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", '\\p{N}{1,3}'),
  casedWords('', '\\p{N}'),
  // cl100k
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  // GPT-2
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  // Falcon, DeepSeek V3
  '[0-9][0-9][0-9]',
  '\\p{N}{1,3}',
  '[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+',
  '[一-龥぀-ゟ゠-ヿ]+',
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  // Runs of spaces, in normalizers
  ' {2,}',
]);

/** True if a text of a few thousand characters takes bounded time, whatever the text is. */
export function isKnownShape({ normalizer, pre_tokenizer }: Definition): boolean {
  const parts = [...partsOf(normalizer), ...partsOf(pre_tokenizer)];
  return parts.length <= MAX_LOOP_PARTS && parts.every((part) => isKnownPattern(part['pattern']));
}

function isKnownPattern(pattern: unknown): boolean {
  const fields = patternFields.safeParse(pattern).data;
  return fields === undefined || 'String' in fields || KNOWN_PATTERNS.has(fields.Regex);
}
