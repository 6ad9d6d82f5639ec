/** Names of special tokens, chat templates, ids that end an output and sampling defaults of a GGUF file. */
import { describe, expect, it } from 'vitest';
import type { Metadata } from '../../../../../src/model/checkpoint/gguf/gguf-file.ts';
import { deriveTokenizer } from '../../../../../src/model/checkpoint/gguf/tokenizer/derive-tokenizer.ts';
import { deriveTokenFacts } from '../../../../../src/model/checkpoint/gguf/tokenizer/token-facts.ts';
import { finished } from '../../../../../src/protocol/start/slices.ts';
import { definitionFields } from '../../../../../src/text/tokenizer/definition.ts';
import { Pipeline } from '../../../../../src/text/tokenizer/pipeline.ts';
import { byteLevel, type Keys, sentencePiece } from './small-metadata.ts';

const factsOf = (metadata: Metadata) => finished(deriveTokenFacts(metadata));

describe('the ids that end an output', () => {
  const ends = (tokens: readonly string[], types: readonly number[], keys: Keys = {}): unknown =>
    factsOf(byteLevel({ tokens, token_type: Int32Array.from(types), eos_token_id: undefined, ...keys }))
      .generationConfig['eos_token_id'];

  it('are those that the file names, without repetition', () => {
    const keys = { eos_token_id: 1, eot_token_id: 2, eom_token_id: 1 };
    expect(ends(['a', '<|x|>', '<|y|>'], [1, 3, 3], keys)).toEqual([1, 2]);
  });

  it('are the known ends of a turn that are control tokens', () => {
    const tokens = ['<|im_end|>', '<|eot_id|>', '<|eom_id|>', '<end_of_turn>', '<|endoftext|>', '</s>', '<|im_start|>'];
    expect(ends(tokens, [3, 3, 3, 3, 3, 1, 3])).toEqual(expect.arrayContaining([0, 1, 2, 3, 4]));
    expect(ends(tokens, [3, 3, 3, 3, 3, 1, 3])).toHaveLength(5);
  });

  it('are not the end of a message of harmony, after which another message follows', () => {
    expect(ends(['<|end|>', '<|return|>', '<|call|>'], [3, 3, 3])).toEqual([1, 2]);
    expect(ends(['<|end|>', '<|return|>', 'x'], [3, 3, 1])).toEqual([0, 1]);
  });

  it('are absent if the file has none', () => {
    expect(factsOf(byteLevel({ tokens: ['a'], token_type: Int32Array.of(1), eos_token_id: undefined }))).toEqual({
      tokenizerConfig: {},
      generationConfig: {},
    });
  });

  it('need no tokens in the file, no types, and no other tokens than once', () => {
    const without = { tokens: undefined, token_type: undefined, merges: undefined, eos_token_id: 7 };
    const template = { 'tokenizer.chat_template': 'T' };
    expect(factsOf(byteLevel({ ...without, ...template }))).toEqual({
      tokenizerConfig: { chat_template: 'T' },
      generationConfig: {},
    });
    const twice = { tokens: ['a', '</s>', '</s>'], token_type: undefined, eos_token_id: 1 };
    expect(factsOf(byteLevel(twice))).toMatchObject({
      tokenizerConfig: { eos_token: '</s>' },
      generationConfig: { eos_token_id: [1] },
    });
  });

  it('are not the number that llama.cpp has for no token', () => {
    const none = 2 ** 32 - 1;
    expect(ends(['a', '<|x|>'], [1, 3], { eos_token_id: 1, eot_token_id: none })).toEqual([1]);
    const keys = { seperator_token_id: none, padding_token_id: none, eos_token_id: none };
    expect(deriveTokenFacts(sentencePiece(keys))).toEqual(deriveTokenFacts(sentencePiece()));
  });

  it('are those of Llama for a SentencePiece file without the keys', () => {
    expect(factsOf(sentencePiece())).toEqual({
      tokenizerConfig: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' },
      generationConfig: { eos_token_id: [2] },
    });
  });
});

describe('the chat template', () => {
  const template = (keys: Keys): unknown => factsOf(byteLevel(keys)).tokenizerConfig['chat_template'];
  const more: Keys = {
    'tokenizer.chat_templates': ['tool_use', 'rag'],
    'tokenizer.chat_template.tool_use': 'T',
    'tokenizer.chat_template.rag': 'R',
  };

  it('is a text, a list with the default template, or a list of names', () => {
    expect(template({})).toBe(undefined);
    expect(template({ 'tokenizer.chat_template': 'D' })).toBe('D');
    const named = [
      { name: 'tool_use', template: 'T' },
      { name: 'rag', template: 'R' },
    ];
    expect(template({ 'tokenizer.chat_template': 'D', ...more })).toEqual([
      { name: 'default', template: 'D' },
      ...named,
    ]);
    expect(template(more)).toEqual(named);
  });
});

it('sampling defaults have the names of generation_config.json, and the numbers as their authors wrote them', () => {
  const { generationConfig } = factsOf(
    byteLevel({
      'general.sampling.temp': Math.fround(0.7),
      'general.sampling.top_k': 20,
      'general.sampling.top_p': Math.fround(0.95),
      'general.sampling.min_p': Math.fround(0.0125),
      'general.sampling.penalty_repeat': Math.fround(1.05),
    }),
  );
  expect(generationConfig).toEqual({
    eos_token_id: [0, 4],
    do_sample: true,
    temperature: 0.7,
    top_k: 20,
    top_p: 0.95,
    min_p: 0.0125,
    repetition_penalty: 1.05,
  });
});

describe('the tokens around a text', () => {
  const around = (metadata: ReturnType<typeof byteLevel>): number[] =>
    Pipeline.of(definitionFields.parse(finished(deriveTokenizer(metadata)).tokenizer)).encode('ab', true);

  it('are those that the flags of the file state', () => {
    expect(around(byteLevel({ bos_token_id: 0 }))).toEqual([3]);
    expect(around(byteLevel({ bos_token_id: 0, add_bos_token: true }))).toEqual([0, 3]);
    expect(around(byteLevel({ bos_token_id: 0, add_bos_token: true, add_eos_token: true, eos_token_id: 4 }))).toEqual([
      0, 3, 4,
    ]);
  });

  it('are those of the rule if the file has no flag', () => {
    expect(around(byteLevel({ pre: 'llama-bpe', bos_token_id: 0 }))).toEqual([0, 3]);
    expect(around(byteLevel({ pre: 'llama-bpe', bos_token_id: 0, add_bos_token: false }))).toEqual([3]);
    expect(around(byteLevel({ pre: 'llama-bpe' }))).toEqual([3]);
    expect(around(sentencePiece())).toEqual([1, 0, 6]);
    expect(around(sentencePiece({ add_bos_token: false, add_space_prefix: false }))).toEqual([6]);
  });

  it('begin every text of Gemma 4, whose files state that they do not', () => {
    const gemma4 = { model: 'gemma4', merges: ['a b'], add_bos_token: false, bos_token_id: 1 };
    expect(around(sentencePiece(gemma4))).toEqual([1, 6]);
  });
});

describe('added tokens', () => {
  const added = (metadata: ReturnType<typeof byteLevel>): unknown =>
    finished(deriveTokenizer(metadata)).tokenizer['added_tokens'];
  const token = (id: number, content: string, flags: object): object => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    ...flags,
  });

  it('are special if they are control tokens, and are shown if a user defined them or the model shows them', () => {
    const tokens = ['<|im_end|>', '<tool_call>', '<|fim_pad|>', 'a', '<｜tool▁call▁begin｜>', '[PAD5]'];
    const token_type = Int32Array.of(3, 4, 3, 1, 3, 5);
    expect(added(byteLevel({ tokens, token_type, merges: [] }))).toEqual([
      token(0, '<|im_end|>', {}),
      token(1, '<tool_call>', { special: false }),
      token(2, '<|fim_pad|>', { special: false }),
      token(4, '<｜tool▁call▁begin｜>', { special: false }),
    ]);
  });

  it('of Phi-3 drop the white space after them', () => {
    expect(added(sentencePiece({ 'general.architecture': 'phi3' }))).toEqual([
      token(0, '<unk>', {}),
      token(1, '<s>', {}),
      token(2, '</s>', { rstrip: true }),
    ]);
  });

  it('of Phi-4 drop the white space around them, and those of Phi-4-mini after the names of roles', () => {
    const phi: Keys = { 'general.architecture': 'phi3', merges: [], tokens: ['<|end|>', 'a', 'b', 'c', '<|tool|>'] };
    const ids = (pre: string): unknown => added(byteLevel({ ...phi, pre }));
    expect(ids('dbrx')).toEqual([
      token(0, '<|end|>', { lstrip: true, rstrip: true }),
      token(4, '<|tool|>', { lstrip: true, rstrip: true }),
    ]);
    expect(ids('gpt-4o')).toEqual([token(0, '<|end|>', { rstrip: true }), token(4, '<|tool|>', {})]);
  });
});

it('the vocabulary lacks the tokens that only fill up the matrix, and has every other text', () => {
  const tokens = ['a', '__proto__', '', '[PAD3]', '[PAD9]'];
  const { tokenizer } = finished(
    deriveTokenizer(byteLevel({ tokens, token_type: Int32Array.of(1, 1, 1, 5, 5), merges: [] })),
  );
  const { vocab } = tokenizer['model'] as { readonly vocab: ReadonlyMap<string, number> };
  expect([...vocab]).toEqual([
    ['a', 0],
    ['__proto__', 1],
    ['[PAD9]', 4],
  ]);
});
