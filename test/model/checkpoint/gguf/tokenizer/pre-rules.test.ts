/** The rules that `tokenizer.ggml.pre` names: as in the tokenizer.json of the models. */
import { describe, expect, it } from 'vitest';
import { PRE_RULES } from '../../../../../src/model/checkpoint/gguf/tokenizer/pre-rules.ts';
import { isKnownShape } from '../../../../../src/text/tokenizer/loop-shape.ts';
import { normalizerOf } from '../../../../../src/text/tokenizer/stages/normalizers.ts';
import { preTokenizerOf } from '../../../../../src/text/tokenizer/stages/pre-tokenizers.ts';

const words = (pre: string, text: string): readonly string[] => {
  const rule = PRE_RULES.get(pre);
  if (!rule) throw new Error(`no rule ${pre}`);
  const normalized = normalizerOf(rule.normalizer)(text, 1000);
  return preTokenizerOf(rule.preTokenizer)({ texts: [normalized], atStart: true }, 1000).texts;
};

describe('words', () => {
  const TEXT = "DON'T  e\u0301x 12345 don't!!\n\n \tHe\n/x";

  it.each([
    ['gpt-2', "DON ' T Ġ Ġe Ìģ x Ġ12345 Ġdon 't !! ĊĊĠ ĉ He Ċ / x"],
    ['olmo', "DON ' T Ġ ĠÃ©x Ġ12345 Ġdon 't !! ĊĊĠ ĉ He Ċ / x"],
    ['smollm', "DON ' T Ġ Ġe Ìģ x Ġ 1 2 3 4 5 Ġdon 't !! ĊĊĠ ĉ He Ċ / x"],
    ['command-r', "DON ' T Ġ ĠÃ©x Ġ 1 2 3 4 5 Ġdon 't !! ĊĊĠ ĉ He Ċ / x"],
    ['llama-bpe', "DON 'T Ġ Ġe Ìģx Ġ 123 45 Ġdon 't !!ĊĊ Ġ ĉHe Ċ /x"],
    ['qwen2', "DON 'T Ġ ĠÃ©x Ġ 1 2 3 4 5 Ġdon 't !!ĊĊ Ġ ĉHe Ċ /x"],
    ['tekken', "DON 'T Ġ ĠeÌģx Ġ 1 2 3 4 5 Ġdon 't !!ĊĊ Ġ ĉHe Ċ /x"],
    ['gpt-4o', "DON'T Ġ ĠeÌģx Ġ 123 45 Ġdon't !!ĊĊ Ġ ĉHe Ċ /x"],
    ['deepseek-v3', "DON 'T Ġ ĠeÌģx Ġ 123 45 Ġdon 't !!ĊĊ Ġ ĉHe Ċ /x"],
  ])('of %s', (pre, wanted) => {
    expect(words(pre, TEXT).join(' ')).toBe(wanted);
  });
});

it('names that share a tokenizer share a rule', () => {
  const rules = ['llama-bpe', 'llama3', 'llama-v3', 'pixtral', 'falcon3'].map((name) => PRE_RULES.get(name));
  expect(new Set(rules).size).toBe(1);
  expect(PRE_RULES.get('deepseek-r1-qwen')).toBe(PRE_RULES.get('qwen2'));
  expect(PRE_RULES.get('refact')).toBe(PRE_RULES.get('smollm'));
});

it('tokenizers from tiktoken take a word that is a token as it is, and only Llama 3 and Tekken begin a text', () => {
  const names = (wanted: 'ignoreMerges' | 'addBos'): string[] =>
    [...PRE_RULES].filter(([, rule]) => rule[wanted]).map(([name]) => name);
  const llama3 = ['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral'];
  expect(names('addBos')).toEqual([...llama3, 'tekken']);
  expect(names('ignoreMerges')).toEqual([...llama3, 'smaug-bpe', 'tekken', 'llama4']);
});

it('the event loop may encode short texts of every rule but three, whose patterns are rare', () => {
  const unknown = [...PRE_RULES].filter(
    ([, { normalizer, preTokenizer: pre_tokenizer }]) =>
      !isKnownShape({ normalizer, pre_tokenizer, post_processor: null, decoder: null, model: {} }),
  );
  expect(unknown.map(([name]) => name)).toEqual(['qwen35', 'deepseek-llm', 'deepseek-coder']);
});
