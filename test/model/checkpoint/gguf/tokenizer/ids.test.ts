/**
 * A tokenizer that is derived from the metadata of a GGUF file gives the ids and the texts of the
 * tokenizer.json from which the metadata were made.
 */
import { describe, expect, it } from 'vitest';
import { deriveTokenizer } from '../../../../../src/model/checkpoint/gguf/tokenizer/derive-tokenizer.ts';
import { finished } from '../../../../../src/protocol/start/slices.ts';
import { definitionFields } from '../../../../../src/text/tokenizer/definition.ts';
import { Pipeline } from '../../../../../src/text/tokenizer/pipeline.ts';
import { TokenTexts } from '../../../../../src/text/tokenizer/token-texts.ts';
import { ggufMetadata, type Kind, type TokenizerJson } from '../../../../support/checkpoints/gguf-tokenizer.ts';
import { sampleSize } from '../../../../support/sample.ts';
import { around, codesOf, definitionOf, expected } from '../../../../text/tokenizer/families.ts';
import { NativeIds } from '../../../../text/tokenizer/native-ids.ts';
import { transformersMerges } from './transformers-merges.ts';

type AddedToken = TokenizerJson['added_tokens'][number] & Readonly<Record<string, unknown>>;
interface WholeTokenizer extends TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly [part: string]: unknown;
}
const wholeOf = (family: string): WholeTokenizer => definitionOf(family) as WholeTokenizer;
const idOf = ({ added_tokens, model }: TokenizerJson, text: string): number =>
  added_tokens.find(({ content }) => content === text)?.id ?? model.vocab[text] ?? -1;

describe.each([
  ['gpt2', 'gpt-2'],
  ['llama3', 'llama-bpe'],
  ['qwen2', 'qwen2'],
  ['o200k', 'gpt-4o'],
  ['smollm2', 'smollm'],
  ['deepseek', 'deepseek-v3'],
])('byte-level: the metadata of a tokenizer in the style of %s', (family, pre) => {
  const whole = wholeOf(family);
  const bos = idOf(whole, '<|begin_of_text|>');
  const ids = { ...(bos >= 0 && { 'tokenizer.ggml.bos_token_id': bos }) };
  const { tokenizer } = finished(deriveTokenizer(ggufMetadata(whole, { pre }, ids)));
  const native = new NativeIds(family, { first: 0, step: sampleSize(1, 2) }, tokenizer);

  it('give the ids and the texts of the native library for hostile texts', () => {
    expect([native.textsToIds(), native.idsToTexts()]).toEqual([[], []]);
  });

  it('give its ids for long runs and for blocks of Unicode', () => {
    const few = new NativeIds(family, { first: 3, step: sampleSize(4, 24) }, tokenizer);
    expect([few.runs(), few.blocks()]).toEqual([[], []]);
  });
});

it('byte-level: a whole word that is a token needs no merges if the rule says so, and otherwise it does', () => {
  const ids = (pre: string): number[] => {
    const more = { 'tokenizer.ggml.add_bos_token': false };
    const { tokenizer } = finished(deriveTokenizer(ggufMetadata(wholeOf('llama3'), { pre }, more)));
    return Pipeline.of(definitionFields.parse(tokenizer)).encode('xyzzy', true);
  };
  expect([ids('llama-bpe').length, ids('dbrx').length]).toEqual([1, 5]);
});

interface Case {
  readonly kind: Kind;
  readonly more: Readonly<Record<string, boolean | number>>;
  readonly longestFirst: boolean;
}
const withoutPrefix = { 'tokenizer.ggml.add_space_prefix': false };
const SENTENCE_PIECE: readonly (readonly [string, string, Case])[] = [
  ['Llama 2', 'llama2', { kind: { architecture: 'llama' }, more: {}, longestFirst: false }],
  ['Phi-3', 'phi3', { kind: { architecture: 'phi3' }, more: {}, longestFirst: false }],
  ['Gemma', 'gemma', { kind: { architecture: 'gemma2' }, more: withoutPrefix, longestFirst: false }],
  ['Gemma 3', 'gemma', { kind: { architecture: 'gemma3' }, more: withoutPrefix, longestFirst: true }],
];

describe.each(SENTENCE_PIECE)(
  'SentencePiece: the metadata of a tokenizer in the style of %s',
  (name, family, options) => {
    const whole = asTransformersWrites(wholeOf(family), options.longestFirst, name === 'Phi-3');
    const metadata = ggufMetadata(whole, options.kind, { 'tokenizer.ggml.bos_token_id': 1, ...options.more });
    const [wanted, got] = [partsOf(whole), partsOf(finished(deriveTokenizer(metadata)).tokenizer)];

    it.each([['with', true], ['without']])(
      'give the ids and the texts of tokenizer.json, %s special tokens',
      (_, special = false) => {
        const differing = texts().filter((text) => {
          const [ids, others] = [wanted.pipeline.encode(text, special), got.pipeline.encode(text, special)];
          return ids.join() !== others.join() || wanted.texts.decode(ids) !== got.texts.decode(others);
        });
        expect(differing).toEqual([]);
      },
    );

    it('give the same special tokens', () => {
      expect(got.texts.special).toEqual(wanted.texts.special);
    });
  },
);

function partsOf(tokenizer: object): { readonly pipeline: Pipeline; readonly texts: TokenTexts } {
  const definition = definitionFields.parse(tokenizer);
  const pipeline = Pipeline.of(definition);
  return { pipeline, texts: new TokenTexts(definition, pipeline.model.vocabulary) };
}

/** Hostile texts, runs and blocks of Unicode, also around each kind of special token. */
function texts(): string[] {
  const runs = expected.runs.map(({ unit }) => unit.repeat(999));
  const blocks = expected.blocks.filter((_, at) => at % sampleSize(1, 24) === 0).map((one) => around(codesOf(one)));
  const tokens = ['<|user|>', '<|end|>', '<unk>', '<s>', '</s>', '</thing>', '<start_of_turn>', '\n\n\n', '▁▁▁▁▁'];
  const spaces = Array.from({ length: 40 }, (_, count) => ' '.repeat(count));
  return [
    ...expected.texts,
    ...runs,
    ...blocks,
    ...spaces,
    ...tokens.map((token) => `a ${token}  b${token}\n ${token}  `),
  ];
}

/**
 * The tokenizer.json of a published model: all tokens in the vocabulary, all merges that the converter of
 * transformers finds, and the flags that a GGUF file or its architecture states.
 */
function asTransformersWrites(whole: WholeTokenizer, longestFirst: boolean, isPhi3: boolean): WholeTokenizer {
  const added_tokens = whole.added_tokens.map((token) => ({
    ...token,
    normalized: false,
    lstrip: false,
    rstrip: isPhi3 && !['<unk>', '<s>'].includes(token.content),
  }));
  const vocab = { ...whole.model.vocab, ...Object.fromEntries(added_tokens.map(({ content, id }) => [content, id])) };
  const ranks = new Map(whole.model.merges.map((merge, rank) => [[merge].flat().join(''), rank]));
  const added = new Set(added_tokens.map(({ content }) => content));
  const scores = new Map(Object.keys(vocab).map((text) => [text, added.has(text) ? 0 : -1 - (ranks.get(text) ?? 1e6)]));
  return {
    ...whole,
    added_tokens,
    model: { ...whole.model, vocab, merges: transformersMerges(vocab, scores, longestFirst) },
  };
}
