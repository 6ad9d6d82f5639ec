/**
 * Decides if a tokenizer may encode short texts on the event loop. There nothing can interrupt it, so its
 * patterns must be known ones: a pattern of another shape may take 2ⁿ steps for n characters. Pure.
 */
import type { Definition } from './definition.ts';
import { partsOf } from './least-tokens.ts';
import { Unigram } from './models/unigram.ts';
import type { Pipeline } from './pipeline.ts';
import { patternFields } from './stages/patterns.ts';

/**
 * UTF-16 units of the longest added token, and of the longest piece of a Unigram model, on the event loop.
 */
export const MAX_LOOP_TOKEN_UNITS = 256;
/** UTF-16 units of the longest literal pattern on the event loop: a search takes text × pattern. */
export const MAX_LOOP_PATTERN_UNITS = 64;
/** UTF-16 units of an affix of BPE on the event loop, and characters of a word of WordPiece. */
const MAX_LOOP_AFFIX_UNITS = 8;
const MAX_LOOP_WORD = 100;
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
export function isKnownShape({ normalizer, pre_tokenizer, model }: Definition): boolean {
  const parts = [...partsOf(normalizer), ...partsOf(pre_tokenizer)];
  const isShort = (affix: unknown): boolean => typeof affix !== 'string' || affix.length <= MAX_LOOP_AFFIX_UNITS;
  return (
    parts.length <= MAX_LOOP_PARTS &&
    parts.every((part) => isKnownPattern(part['pattern'])) &&
    isShort(model['continuing_subword_prefix']) &&
    isShort(model['end_of_word_suffix']) &&
    Number(model['max_input_chars_per_word'] ?? 0) <= MAX_LOOP_WORD
  );
}

/**
 * True if no search for a token of an open tokenizer takes long: neither an added token nor a Unigram piece.
 */
export function hasShortTokens({ longestAdded, model }: Pick<Pipeline, 'longestAdded' | 'model'>): boolean {
  const longestPiece = model instanceof Unigram ? model.vocabulary.longest : 0;
  return Math.max(longestAdded, longestPiece) <= MAX_LOOP_TOKEN_UNITS;
}

function isKnownPattern(pattern: unknown): boolean {
  const fields = patternFields.safeParse(pattern).data;
  if (fields === undefined) return true;
  return 'String' in fields ? fields.String.length <= MAX_LOOP_PATTERN_UNITS : KNOWN_PATTERNS.has(fields.Regex);
}
