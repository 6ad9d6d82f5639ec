/**
 * The pre-tokenizer: the second stage, which cuts a normalized text into words. Each part of a tokenizer.json
 * becomes a function from pieces to pieces that gives the result of the Rust library's part of the same name.
 * Pure.
 */
import { z } from 'zod';
import { lazy } from '../../../protocol/start/lazy.ts';
import { mapBounded, replaceBounded } from './bounded-text.ts';
import { bytesAsCharacters } from './byte-level.ts';
import { expressionOf, patternFields, SPACE } from './patterns.ts';
import { behaviors, type PreTokenize, splitOn } from './split.ts';

const part = z.looseObject({ type: z.string() });
const yes = z.boolean().default(true);
const sequence = z.object({ pretokenizers: z.array(z.unknown()) });
const split = z.object({ pattern: patternFields, behavior: behaviors, invert: z.boolean().default(false) });
const byteLevel = z.object({ add_prefix_space: yes, use_regex: yes });
const metaspace = z
  .object({
    replacement: z.string().default('▁'),
    add_prefix_space: yes,
    prepend_scheme: z.enum(['always', 'first', 'never']).default('always'),
    split: yes,
  })
  .transform((fields) => ({ ...fields, scheme: fields.add_prefix_space ? fields.prepend_scheme : 'never' }));

/** Made at the first use: Unicode properties take up to 2 ms, and a tokenizer uses few of them. */
const expression = (source: string): (() => RegExp) => lazy(() => new RegExp(source, 'gu'));
/** GPT-2's words (Radford et al. 2019, `encoder.py`). */
const GPT2 = expression(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+(?!\\P{White_Space})|${SPACE}+`,
);
const SPACES = expression(SPACE);
/** The one space that SentencePiece marks. */
const SPACE_MARK = expression(' ');
const DIGIT = expression('\\p{N}');
const PUNCTUATION = expression('[\\p{P}!-/:-@[-`{-~]');
/** Rust's `\w`. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const WORDS = expression(`[${WORD}]+|[^${WORD}${SPACE}]+`);

/** @throws Error for an unsupported pre-tokenizer. */
export function preTokenizerOf(definition: unknown): PreTokenize {
  if (definition === null || definition === undefined) return (pieces) => pieces;
  const fields = part.parse(definition);
  switch (fields.type) {
    case 'Sequence': {
      const steps = sequence.parse(fields).pretokenizers.map(preTokenizerOf);
      return (pieces, most) => steps.reduce((current, step) => step(current, most), pieces);
    }
    case 'ByteLevel':
      return byteLevelOf(byteLevel.parse(fields));
    case 'Metaspace':
      return metaspaceOf(metaspace.parse(fields));
    case 'Split': {
      const { pattern, behavior, invert } = split.parse(fields);
      return splitOn(expressionOf(pattern), behavior, invert);
    }
    case 'Digits': {
      const { individual_digits } = z.object({ individual_digits: z.boolean().default(false) }).parse(fields);
      return splitOn(DIGIT(), individual_digits ? 'Isolated' : 'Contiguous');
    }
    case 'Punctuation':
      return splitOn(PUNCTUATION(), z.object({ behavior: behaviors.default('Isolated') }).parse(fields).behavior);
    case 'Whitespace':
      return splitOn(WORDS(), 'Removed', true);
    case 'WhitespaceSplit':
      return splitOn(SPACES(), 'Removed');
    case 'CharDelimiterSplit': {
      const { delimiter } = z.object({ delimiter: z.string() }).parse(fields);
      return splitOn(expressionOf({ String: delimiter }), 'Removed');
    }
    case 'BertPreTokenizer': {
      const [words, marks] = [splitOn(SPACES(), 'Removed'), splitOn(PUNCTUATION(), 'Isolated')];
      return (pieces) => marks(words(pieces));
    }
    default:
      throw new Error(`pre_tokenizer.type ${JSON.stringify(fields.type)} is not supported: use another model`);
  }
}

function byteLevelOf({ add_prefix_space, use_regex }: z.infer<typeof byteLevel>): PreTokenize {
  const words = splitOn(GPT2(), 'Isolated');
  return ({ texts, atStart }, most) => {
    const spaced = add_prefix_space ? texts.map((text) => (text.startsWith(' ') ? text : ` ${text}`)) : texts;
    const pieces = use_regex ? words({ texts: spaced, atStart }) : { texts: spaced, atStart };
    return { texts: mapBounded(pieces.texts, bytesAsCharacters, most), atStart: pieces.atStart };
  };
}

/**
 * SentencePiece's words. A mark replaces each space and starts a word. The scheme says whether a mark is also
 * prepended to the text (`first`), to every piece (`always`) or not at all (`never`).
 */
function metaspaceOf({ replacement, scheme, split: splits }: z.infer<typeof metaspace>): PreTokenize {
  const words = splitOn(expressionOf({ String: replacement }), 'MergedWithNext');
  return ({ texts, atStart }, most) => {
    const mark = (text: string, at: number): string => {
      const prepends = scheme === 'always' || (scheme === 'first' && atStart && at === 0);
      const replaced = replaceBounded(text, SPACE_MARK(), replacement, most);
      return prepends && !replaced.startsWith(replacement) ? replacement + replaced : replaced;
    };
    const marked = mapBounded(texts, mark, most);
    return splits ? words({ texts: marked, atStart }) : { texts: marked, atStart };
  };
}
