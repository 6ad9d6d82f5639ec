/** Hostile and damaged metadata of a tokenizer: one sentence with the key, the value, the allowed values. */
import { describe, expect, it } from 'vitest';
import type { Metadata, MetadataValue } from '../../../../../src/model/checkpoint/gguf/gguf-file.ts';
import { deriveTokenizer } from '../../../../../src/model/checkpoint/gguf/tokenizer/derive-tokenizer.ts';
import { deriveTokenFacts } from '../../../../../src/model/checkpoint/gguf/tokenizer/token-facts.ts';
import { UnsupportedTokenizer } from '../../../../../src/model/checkpoint/gguf/tokenizer/tokenizer-metadata.ts';
import { finished } from '../../../../../src/protocol/start/slices.ts';
import { definitionFields } from '../../../../../src/text/tokenizer/definition.ts';
import { Pipeline } from '../../../../../src/text/tokenizer/pipeline.ts';
import { generator } from '../../mutations.ts';
import { byteLevel, type Keys, sentencePiece } from './small-metadata.ts';

const BESIDE = 'Put the tokenizer.json of the model beside the file';

function problemOf(metadata: Metadata): string {
  try {
    finished(deriveTokenizer(metadata));
  } catch (error) {
    if (error instanceof UnsupportedTokenizer) return error.message;
    throw error;
  }
  return 'none';
}

describe('a tokenizer that no stage computes is refused by name', () => {
  it.each(['bert', 't5', 'rwkv', 'plamo2', 'none', 'no_vocab', 'replit', 'constructor'])('%s', (model) => {
    expect(problemOf(byteLevel({ model }))).toBe(
      `has "tokenizer.ggml.model" "${model}"; allowed: gpt2, llama, gemma4. ${BESIDE}`,
    );
  });

  it.each(['default', 'kimi-k2', 'superbpe', '', 'toString'])('with the rule %j', (pre) => {
    expect(problemOf(byteLevel({ pre }))).toMatch(
      new RegExp(
        `^has "tokenizer\\.ggml\\.pre" "${pre}"; allowed: command-r, .*, gpt-2, .*, llama-bpe, .*, qwen2, .*, tekken\\. ${BESIDE}$`,
      ),
    );
  });

  it('without a rule', () => {
    expect(problemOf(byteLevel({ pre: undefined }))).toMatch(
      /^has no "tokenizer\.ggml\.pre", which names the rule of splitting texts; allowed: command-r, /,
    );
  });
});

describe('byte-level metadata are refused', () => {
  it.each<[string, Keys, string]>([
    ['without tokens', { tokens: undefined }, 'has no "tokenizer.ggml.tokens"'],
    ['with an empty list', { tokens: [] }, 'has no "tokenizer.ggml.tokens"'],
    [
      'with numbers as tokens',
      { tokens: Int32Array.of(1) },
      '"tokenizer.ggml.tokens" a list of 1; allowed: a list of texts',
    ],
    ['without types', { token_type: undefined }, 'has no "tokenizer.ggml.token_type"'],
    [
      'with few types',
      { token_type: Int32Array.of(1, 1) },
      'has 2 elements in "tokenizer.ggml.token_type"; allowed: 5, the length of "tokenizer.ggml.tokens"',
    ],
    ['with types of 64 bits', { token_type: new BigInt64Array(5) }, 'a list of 5; allowed: a list of numbers'],
    [
      'with an unknown type',
      { token_type: Int32Array.of(1, 1, 7, 1, 1) },
      'has 7 in "tokenizer.ggml.token_type[2]"; allowed: integers from 0 to 6',
    ],
    ['with a negative type', { token_type: Int32Array.of(1, -1, 1, 1, 1) }, 'has -1 in "tokenizer.ggml.token_type[1]"'],
    [
      'with a token twice',
      { tokens: ['a', 'b', 'ab', 'c', 'b'] },
      'has the token "b" twice in "tokenizer.ggml.tokens", with the ids 1 and 4',
    ],
    [
      'with a long token',
      { tokens: ['a', 'b', 'ab', 'x'.repeat(2000), 'c'] },
      'has 2000 characters in "tokenizer.ggml.tokens[3]"; allowed: at most 1024',
    ],
    ['without merges', { merges: undefined }, 'has no "tokenizer.ggml.merges"'],
    ['with a text as merges', { merges: 'a b' }, 'has "tokenizer.ggml.merges" "a b"; allowed: a list of texts'],
    [
      'with a merge of one part',
      { merges: ['a b', 'ab'] },
      'has "ab" in "tokenizer.ggml.merges[1]"; allowed: two tokens with a space between',
    ],
    ['with an unknown part', { merges: ['a z'] }, 'has the unknown token "z" in "tokenizer.ggml.merges[0]"'],
    ['with an unknown result', { merges: ['b a'] }, 'has the unknown token "ba" in "tokenizer.ggml.merges[0]"'],
    [
      'with a large id',
      { eos_token_id: 5 },
      'has "tokenizer.ggml.eos_token_id" 5; allowed: an id from 0 to 4. Use another GGUF file of the model',
    ],
    ['with a negative id', { eot_token_id: -1 }, 'has "tokenizer.ggml.eot_token_id" -1; allowed: an id from 0 to 4'],
    [
      'with an id of 64 bits',
      { eos_token_id: 2n ** 60n },
      'has "tokenizer.ggml.eos_token_id" 1152921504606846976; allowed: an id from 0 to 4',
    ],
    [
      'with a first token that is missing',
      { add_bos_token: true },
      'has no "tokenizer.ggml.bos_token_id", although "tokenizer.ggml.add_bos_token" is true',
    ],
    [
      'with a flag that is a number',
      { add_bos_token: 1 },
      'has "tokenizer.ggml.add_bos_token" 1; allowed: true, false',
    ],
    [
      'with a token between two texts',
      { add_sep_token: true },
      'has "tokenizer.ggml.add_sep_token" true; allowed: false',
    ],
    [
      'with a template that is no text',
      { 'tokenizer.chat_template': 7 },
      'has "tokenizer.chat_template" 7; allowed: a text',
    ],
    [
      'with a temperature that is a text',
      { 'general.sampling.temp': 'hot' },
      'has "general.sampling.temp" "hot"; allowed: a number',
    ],
  ])('%s', (_, keys, problem) => {
    expect(problemOf(byteLevel(keys))).toContain(problem);
  });
});

describe('SentencePiece metadata are refused', () => {
  it.each<[string, Keys, string]>([
    ['without scores', { scores: undefined }, 'has no "tokenizer.ggml.scores"'],
    ['with few scores', { scores: Float32Array.of(1) }, 'has 1 elements in "tokenizer.ggml.scores"; allowed: 8'],
    [
      'with a score that is no number',
      { scores: new Float32Array(8).fill(Number.NaN) },
      'has NaN in "tokenizer.ggml.scores[0]"; allowed: finite numbers',
    ],
    [
      'with an infinite score',
      { scores: Float32Array.of(0, 0, 0, 0, -1, -Infinity, 0, 0) },
      'has -Infinity in "tokenizer.ggml.scores[5]"',
    ],
    [
      'with equal scores',
      { scores: new Float32Array(8).fill(-1000) },
      'has the value -1000 for every normal token in "tokenizer.ggml.scores": the merges have no order',
    ],
    [
      'with dropped spaces',
      { remove_extra_whitespaces: true },
      'has "tokenizer.ggml.remove_extra_whitespaces" true; allowed: false',
    ],
    [
      'with an unknown token out of range',
      { unknown_token_id: 99 },
      'has "tokenizer.ggml.unknown_token_id" 99; allowed: an id from 0 to 7',
    ],
  ])('%s', (_, keys, problem) => {
    expect(problemOf(sentencePiece(keys))).toContain(problem);
  });
});

it('a tokenizer that is not supported has names, templates and ids all the same', () => {
  const facts = finished(
    deriveTokenFacts(byteLevel({ model: 'bert', pre: 'default', 'tokenizer.chat_template': 'x' })),
  );
  expect(facts).toEqual({
    tokenizerConfig: { eos_token: '<|endoftext|>', chat_template: 'x' },
    generationConfig: { eos_token_id: [0, 4] },
  });
});

const HOSTILE: readonly (MetadataValue | undefined)[] = [
  undefined,
  '',
  'llama',
  -1,
  2 ** 32,
  Number.NaN,
  9n,
  true,
  [],
  ['a', 'b', 'ab', '__proto__', ' '],
  ['a b', ' a', 'a  b'],
  [['a'], ['b']],
  Int32Array.of(3, 1, 1, 1, 4),
  Float32Array.of(Number.NaN, 0, 1, 2, 3),
  new Float64Array(8),
  new Uint8Array(0),
  BigUint64Array.of(1n),
];

it('any value under any key gives a tokenizer that opens, or one refusal', () => {
  const keys = [
    ...byteLevel().keys(),
    ...sentencePiece().keys(),
    ...['bos_token_id', 'add_bos_token'].map((key) => `tokenizer.ggml.${key}`),
  ];
  const below = generator(17);
  let opened = 0;
  for (let round = 0; round < 3000; round++) {
    const metadata = new Map(round % 2 === 0 ? byteLevel() : sentencePiece());
    for (let change = 0; change <= below(2); change++) {
      const [key, value] = [keys[below(keys.length)] ?? '', HOSTILE[below(HOSTILE.length)]];
      if (value === undefined) metadata.delete(key);
      else metadata.set(key, value);
    }
    try {
      Pipeline.of(definitionFields.parse(finished(deriveTokenizer(metadata)).tokenizer)).encode('ab a', true);
      opened += 1;
    } catch (error) {
      if (!(error instanceof UnsupportedTokenizer)) throw error;
      expect(error.message).toMatch(/^has [^\n]{5,600}$/);
    }
  }
  expect(opened).toBeGreaterThan(100);
});
