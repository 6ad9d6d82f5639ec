/**
 * Small tokenizers in the style of well-known families, and the recorded results of the native library for
 * difficult texts (tools/tokenizers).
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { definitionFields } from '../../../src/text/tokenizer/definition.ts';
import { Pipeline } from '../../../src/text/tokenizer/pipeline.ts';
import { TokenTexts } from '../../../src/text/tokenizer/token-texts.ts';

interface Definition {
  readonly vocabulary: 'byteLevel' | 'sentencePiece' | 'unigram';
  readonly model: object;
  readonly normalizer: { readonly type: string } | null;
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[];
}
interface Vocabularies {
  readonly byteLevel: object;
  readonly sentencePiece: object;
  readonly unigram: readonly unknown[];
}
interface Expected {
  /**
   * Ids with special tokens, in full or as a digest, and the digest of their text, '' if none is recorded.
   */
  readonly texts: readonly (readonly [string, string])[];
  readonly runs: string;
  readonly blocks: string;
}

const read = <T>(name: string): T => JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8'));
const { vocabularies, charsmap, definitions } = read<{
  vocabularies: Vocabularies;
  charsmap: string;
  definitions: Record<string, Definition>;
}>('tokenizers.json');

export const expected = read<{
  texts: readonly string[];
  runs: readonly { readonly unit: string; readonly times: number }[];
  blocks: readonly string[];
  families: Record<string, Expected>;
}>('expected-ids.json');

export const FAMILIES = Object.keys(definitions);

/** A family's tokenizer.json. */
export function definitionOf(name: string): object {
  const definition = definitions[name];
  if (!definition) throw new Error(`no family ${name}`);
  const { vocabulary, model, normalizer, ...rest } = definition;
  const words = vocabulary === 'unigram' ? { vocab: vocabularies.unigram } : vocabularies[vocabulary];
  const mapped = normalizer?.type === 'Precompiled' ? { ...normalizer, precompiled_charsmap: charsmap } : normalizer;
  return { ...rest, normalizer: mapped, model: { ...model, ...words } };
}

export function pipelineOf(name: string): Pipeline {
  return Pipeline.of(definitionFields.parse(definitionOf(name)));
}

/** The decoding half of a family's tokenizer. */
export function textsOf(name: string, { model }: Pipeline): TokenTexts {
  return new TokenTexts(definitionFields.parse(definitionOf(name)), model.vocabulary);
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Expands `41-5a,61` to code points. */
export function codesOf(ranges: string): number[] {
  return ranges.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map((code) => Number.parseInt(code, 16));
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

/**
 * Each code point between letters, at the end of a word and before a contraction, as in
 * tools/tokenizers/texts.mjs.
 */
export function around(codes: readonly number[]): string {
  const chars = codes.map((code) => String.fromCodePoint(code));
  return chars.map((char) => `${char}'s a${char}a  ${char}1'${char}s \n${char}\n`).join('');
}
