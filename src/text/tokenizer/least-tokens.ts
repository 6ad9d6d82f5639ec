/**
 * A number of tokens that a text certainly has, from its length alone: characters ÷ the longest token. A
 * prompt that cannot fit is refused by it before it is encoded. The number is 0 for a tokenizer that can drop
 * or merge any amount of text, because a prompt that fits must never be refused. Pure.
 */
import { z } from 'zod';
import type { Definition } from './definition.ts';
import type { Vocabulary } from './models/vocabulary.ts';
import { BYTE_CHARACTERS } from './stages/byte-level.ts';
import { patternFields } from './stages/patterns.ts';

/** The shortest text that a tokenizer can make of a text, in code points. */
interface Shrink {
  /** At most this many code points become one. */
  readonly factor: number;
  /** False if white space can disappear. Then only other characters count. */
  readonly keepsSpace: boolean;
}
const KEEPS: Shrink = { factor: 1, keepsSpace: true };
const DROPS_SPACE: Shrink = { factor: 1, keepsSpace: false };
/** Unicode composes at most four code points into one (UAX #15: the largest expansion of NFD). */
const COMPOSES: Shrink = { factor: 4, keepsSpace: true };

const part = z.looseObject({ type: z.string() });
type Part = z.infer<typeof part>;
const LATER = ['normalizers', 'pretokenizers'] as const;

/**
 * 1 for each UTF-16 unit with the property White_Space. A table, because a set takes 30 ns for a unit: 60 ms
 * for the longest prompt.
 */
const SPACES = new Uint8Array(2 ** 16);
for (const unit of [0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000])
  SPACES[unit] = 1;
SPACES.fill(1, 0x2000, 0x200b);

/**
 * UTF-16 units of a text that are counted. 2 Mi took 60 ms in code that V8 had not optimized. The start of a
 * text has no more tokens than the text, and encoding stops at the limit of tokens too.
 */
export const COUNTED_UNITS = 2 ** 18;

/**
 * @param longestAdded UTF-16 units of the longest added token
 * @returns a function from a text to a number of tokens that it certainly has; 0 if that is at most `most`
 */
export function leastTokensOf(
  definition: Definition,
  vocabulary: Vocabulary,
  longestAdded: number,
): (text: string, most: number) => number {
  const shrink = shrinkOf(definition);
  if (!shrink || !coversText(definition, vocabulary)) return () => 0;
  const perToken = shrink.factor * Math.max(vocabulary.longest, longestAdded, 1);
  return (text, most) => {
    // The length is an upper bound of the count.
    if (text.length <= most * perToken) return 0;
    const least = Math.ceil(countOf(text.slice(0, COUNTED_UNITS), shrink.keepsSpace) / perToken);
    return least > most ? least : 0;
  };
}

/** Undefined if a part can drop characters that are not white space. */
function shrinkOf({ normalizer, pre_tokenizer, added_tokens }: Definition): Shrink | undefined {
  const strips = added_tokens?.some(({ lstrip, rstrip }) => lstrip || rstrip) ?? false;
  const shrinks = [
    strips ? DROPS_SPACE : KEEPS,
    ...partsOf(normalizer).map(shrinkOfNormalizer),
    ...partsOf(pre_tokenizer).map(shrinkOfPreTokenizer),
  ];
  let together: Shrink = KEEPS;
  for (const one of shrinks) {
    if (!one) return undefined;
    together = { factor: together.factor * one.factor, keepsSpace: together.keepsSpace && one.keepsSpace };
  }
  return together;
}

/** The parts of nested sequences, in order. */
export function partsOf(definition: unknown): readonly Part[] {
  const fields = part.safeParse(definition).data;
  if (!fields) return [];
  const field = LATER.map((name) => fields[name]).find(Array.isArray);
  return fields.type === 'Sequence' && field ? field.flatMap(partsOf) : [fields];
}

function shrinkOfNormalizer(fields: Part): Shrink | undefined {
  switch (fields.type) {
    case 'NFC':
    case 'NFKC':
      return COMPOSES;
    case 'NFD':
    case 'NFKD':
    case 'Lowercase':
    case 'Prepend':
    case 'ByteLevel':
      return KEEPS;
    case 'Strip':
      return DROPS_SPACE;
    case 'Replace': {
      const { pattern, content } = z.object({ pattern: patternFields, content: z.string() }).parse(fields);
      return 'String' in pattern ? shrinkOfReplacement(pattern.String, content) : undefined;
    }
    default:
      return undefined;
  }
}

function shrinkOfReplacement(pattern: string, content: string): Shrink | undefined {
  const length = countOf(pattern, true);
  if (countOf(pattern, false) === 0) return countOf(content, true) < length ? DROPS_SPACE : KEEPS;
  const kept = countOf(content, false);
  return kept === 0 ? undefined : { ...KEEPS, factor: Math.max(1, Math.ceil(length / kept)) };
}

function shrinkOfPreTokenizer(fields: Part): Shrink | undefined {
  switch (fields.type) {
    case 'ByteLevel':
    case 'Digits':
      return KEEPS;
    case 'Metaspace':
      return fields['replacement'] === '' ? DROPS_SPACE : KEEPS;
    case 'Whitespace':
    case 'WhitespaceSplit':
    case 'BertPreTokenizer':
      return DROPS_SPACE;
    case 'CharDelimiterSplit':
      return isSpace(fields['delimiter']) ? DROPS_SPACE : undefined;
    case 'Punctuation':
      return fields['behavior'] === 'Removed' ? undefined : KEEPS;
    case 'Split': {
      if (fields['behavior'] !== 'Removed') return KEEPS;
      const pattern = patternFields.safeParse(fields['pattern']).data;
      const isPlain = pattern !== undefined && 'String' in pattern && fields['invert'] !== true;
      return isPlain && isSpace(pattern.String) ? DROPS_SPACE : undefined;
    }
    default:
      return undefined;
  }
}

/** True if every character of a word is part of a token that is at least as long as its text. */
function coversText({ model, normalizer, pre_tokenizer }: Definition, { idOf, isUnique }: Vocabulary): boolean {
  if (!isUnique || model.type === 'WordPiece' || (model['continuing_subword_prefix'] ?? '') !== '') return false;
  const hasBytes = model['byte_fallback'] === true && ALL_BYTES.every((text) => idOf.has(text));
  if (hasBytes) return true;
  // Adjacent unknown characters can become one token.
  if (!('merges' in model)) return false;
  if ((model['unk_token'] ?? undefined) !== undefined) return model['fuse_unk'] !== true;
  const isByteLevel =
    partsOf(normalizer).at(-1)?.type === 'ByteLevel' || partsOf(pre_tokenizer).some(({ type }) => type === 'ByteLevel');
  const hasSuffix = (model['end_of_word_suffix'] ?? '') !== '';
  return isByteLevel && !hasSuffix && BYTE_CHARACTERS.every((char) => idOf.has(char));
}

const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);

function isSpace(text: unknown): boolean {
  return typeof text === 'string' && text !== '' && countOf(text, false) === 0;
}

/** Code points of a text. A lone low surrogate is not counted: the number may be too low, never too high. */
function countOf(text: string, withSpaces: boolean): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const isSecondHalf = unit >= 0xdc00 && unit < 0xe000;
    if (!isSecondHalf && (withSpaces || SPACES[unit] === 0)) count += 1;
  }
  return count;
}
