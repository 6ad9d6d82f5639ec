/**
 * The normalizer: the first stage of a tokenizer. Each part of a tokenizer.json becomes a function from text
 * to text that gives the result of the Rust library's part of the same name. Pure. BERT's part comes from
 * @huggingface/tokenizers.
 */
import { BertNormalizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { checkUnits } from '../encode-error.ts';
import { replaceBounded } from './bounded-text.ts';
import { bytesAsCharacters } from './byte-level.ts';
import { inCanonicalOrder, normalized } from './canonical-order.ts';
import { charsmapOf } from './charsmap.ts';
import { expressionOf, patternFields, SPACE } from './patterns.ts';

/**
 * Normalizes a text.
 * @param most UTF-16 units of the longest text that a step may make
 * @throws EncodeError `too_much_text` if a step makes more
 */
export type Normalize = (text: string, most: number) => string;

const flag = z.boolean().nullish();
const part = z.looseObject({ type: z.string() });
const sequence = z.object({ normalizers: z.array(z.unknown()) });
const replace = z.object({ pattern: patternFields, content: z.string() });
const strip = z.object({ strip_left: flag, strip_right: flag });
const bert = z.object({
  clean_text: z.boolean().default(true),
  handle_chinese_chars: z.boolean().default(true),
  strip_accents: z.boolean().optional().catch(undefined),
  lowercase: z.boolean().default(true),
});

const LEADING = new RegExp(`^${SPACE}+`, 'u');
const MARKS = /\p{M}/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: SentencePiece's nmt rules remove exactly these.
const NMT_REMOVED = /[\u0001-\u0008\u000B\u000E-\u001F\u007F\u008F\u009F]/g;
const NMT_SPACES = /[\t\n\f\r\u1680\u200B-\u200F\u2028\u2029\u2581\uFEFF\uFFFD]/gu;

/** @throws Error for an unsupported normalizer. */
export function normalizerOf(definition: unknown): Normalize {
  if (definition === null || definition === undefined) return (text) => text;
  const fields = part.parse(definition);
  switch (fields.type) {
    case 'Sequence': {
      const steps = sequence.parse(fields).normalizers.map(normalizerOf);
      return (text, most) => steps.reduce((current, step) => step(current, most), text);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = fields.type;
      return checked((text) => normalized(text, form));
    }
    case 'Replace': {
      const { pattern, content } = replace.parse(fields);
      const expression = expressionOf(pattern);
      return checked((text, most) => replaceBounded(text, expression, content, most));
    }
    case 'Prepend': {
      const { prepend } = z.object({ prepend: z.string() }).parse(fields);
      return checked((text) => (text === '' ? '' : prepend + text));
    }
    case 'Strip': {
      const { strip_left, strip_right } = strip.parse(fields);
      return (text) => stripped(text, strip_left ?? true, strip_right ?? true);
    }
    case 'Precompiled':
      return charsmapOf(z.object({ precompiled_charsmap: z.string() }).parse(fields).precompiled_charsmap);
    default:
      return plainNormalizer(fields);
  }
}

function plainNormalizer(fields: z.infer<typeof part>): Normalize {
  switch (fields.type) {
    case 'Lowercase':
      return checked(lowercased);
    case 'StripAccents':
      return (text) => text.replaceAll(MARKS, '');
    case 'Nmt':
      return (text) => text.replaceAll(NMT_REMOVED, '').replaceAll(NMT_SPACES, ' ');
    case 'ByteLevel':
      return checked(bytesAsCharacters);
    case 'BertNormalizer': {
      const library = new LinearBertNormalizer({ type: 'BertNormalizer', ...bert.parse(fields) });
      return checked((text) => library.normalize(text));
    }
    default:
      throw new Error(`normalizer.type ${JSON.stringify(fields.type)} is not supported: use another model`);
  }
}

/** Checks the length of a step's result. */
function checked(step: Normalize): Normalize {
  return (text, most) => {
    const result = step(text, most);
    checkUnits(result.length, most);
    return result;
  };
}

/** The library's normalizer, which removes accents in linear time. */
class LinearBertNormalizer extends BertNormalizer {
  override strip_accents(text: string): string {
    return super.strip_accents(inCanonicalOrder(text, 'NFD'));
  }
}

/**
 * Lowers character by character if a word ends in sigma: JavaScript writes a final sigma, the Rust library
 * does not.
 */
function lowercased(text: string): string {
  const whole = text.toLowerCase();
  return whole.includes('ς') ? Array.from(text, (char) => char.toLowerCase()).join('') : whole;
}

function stripped(text: string, left: boolean, right: boolean): string {
  const rest = left ? text.replace(LEADING, '') : text;
  return right ? rest.slice(0, trimmedLength(rest)) : rest;
}

const SPACES = new RegExp(SPACE, 'u');

/**
 * Length of a text without its trailing white space. A regular expression would scan every run of spaces
 * repeatedly.
 */
export function trimmedLength(text: string): number {
  let end = text.length;
  while (end > 0 && SPACES.test(text[end - 1] ?? '')) end -= 1;
  return end;
}
