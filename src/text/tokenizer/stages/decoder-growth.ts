/**
 * Bounds the text that a decoder can make of one token. Decoding runs on the event loop for every token, so
 * its work must be bounded before a model is opened. Pure.
 */
import { z } from 'zod';
import { patternFields } from './patterns.ts';

/** UTF-16 units of the longest text that one token may have. The longest tokens of known models have 256. */
export const MAX_TOKEN_UNITS = 1_024;
/** UTF-16 units of the longest pattern of a decoder. Known ones have one. */
export const MAX_DECODER_PATTERN = 16;
/** Most steps of a decoder. Known ones have at most five. */
export const MAX_DECODER_STEPS = 8;
/** Longest token × all patterns of a decoder, in UTF-16 units. 262 144 took 262 ms for eight tokens. */
export const MAX_DECODER_WORK = 8_192;

/** A text of n units becomes at most `factor` × n + `plus` units. */
interface Growth {
  readonly factor: number;
  readonly plus: number;
}
const NONE: Growth = { factor: 1, plus: 0 };
/** Every token of a word decoder can get a space. */
const SPACE_ADDED: Growth = { factor: 1, plus: 1 };

const part = z.looseObject({ type: z.string() });
const text = z.string();

/**
 * One atom after another, without alternatives and groups, and a quantifier only after the last atom: such a
 * pattern never tries a position twice.
 */
const LINEAR = /^(?:\\[pP]\{[^}]*\}|\\[^0-9k]|\[(?:\\.|[^\]\\])*\]|[^()[\]{}|*+?\\])*[*+?]?$/su;

/**
 * @param longest UTF-16 units of the longest token of the vocabulary
 * @throws Error if a token can become longer than `MAX_TOKEN_UNITS`, if the decoder has too many steps, or if
 *   one of its patterns can backtrack
 */
export function checkDecoder(definition: unknown, longest: number): void {
  const steps = stepsOf(definition);
  if (steps.length > MAX_DECODER_STEPS)
    throw new Error(`decoder has ${steps.length} steps; at most ${MAX_DECODER_STEPS} are allowed: use another model`);
  const units = steps.map(growthOf).reduce((length, { factor, plus }) => factor * length + plus, longest);
  if (units > MAX_TOKEN_UNITS)
    throw new Error(
      `decoder can turn a token of ${longest} characters into ${units}; at most ${MAX_TOKEN_UNITS} are allowed: use another model`,
    );
  const searched = steps.map((step) => patternLengthOf(step)).reduce((sum, length) => sum + length, 0);
  if (searched * units > MAX_DECODER_WORK)
    throw new Error(
      `decoder searches ${searched} characters of patterns in a token of ${units}; their product may be at most ${MAX_DECODER_WORK}: use another model`,
    );
}

function stepsOf(definition: unknown): readonly z.infer<typeof part>[] {
  if (definition === null || definition === undefined) return [];
  const fields = part.parse(definition);
  if (fields.type !== 'Sequence') return [fields];
  return z
    .object({ decoders: z.array(z.unknown()) })
    .parse(fields)
    .decoders.flatMap(stepsOf);
}

/** UTF-16 units of the pattern that a step searches for; 0 without one. */
function patternLengthOf(fields: z.infer<typeof part>): number {
  const pattern = patternFields.safeParse(fields['pattern']).data;
  if (pattern === undefined) return 0;
  return 'String' in pattern ? pattern.String.length : pattern.Regex.length;
}

function growthOf(fields: z.infer<typeof part>): Growth {
  switch (fields.type) {
    case 'Replace': {
      const { pattern, content } = z.object({ pattern: patternFields, content: text }).parse(fields);
      if ('String' in pattern) return replacing(pattern.String, content);
      if (pattern.Regex.length <= MAX_DECODER_PATTERN && LINEAR.test(pattern.Regex)) return replacing('', content);
      throw new Error(
        `decoder.pattern.Regex ${JSON.stringify(pattern.Regex)} may take too long; allowed: characters and classes in a row, with *, + or ? only at the end: use another model`,
      );
    }
    case 'Metaspace':
      return replacing(z.object({ replacement: text.default('▁') }).parse(fields).replacement, ' ');
    case 'BPEDecoder':
      return replacing(z.object({ suffix: text.default('</w>') }).parse(fields).suffix, ' ');
    case 'CTC':
      return replacing(z.object({ word_delimiter_token: text }).parse(fields).word_delimiter_token, ' ');
    case 'WordPiece':
      return SPACE_ADDED;
    default:
      return NONE;
  }
}

/** An empty pattern also matches between two characters. */
function replacing(pattern: string, content: string): Growth {
  if (pattern.length > MAX_DECODER_PATTERN)
    throw new Error(
      `decoder has a pattern of ${pattern.length} characters; at most ${MAX_DECODER_PATTERN} are allowed: use another model`,
    );
  if (pattern === '') return { factor: 1 + content.length, plus: content.length };
  return { ...NONE, factor: Math.max(1, content.length / pattern.length) };
}
