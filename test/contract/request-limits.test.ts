/** The limits of a request with automatic settings, from the context of the model. */
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { AUTO_PROMPT_CHARS, CHARS_PER_TOKEN, limitsOf } from '../../src/contract/execute.ts';
import { AUTO_TEXT_BYTES, bodyLimit } from '../../src/http/server.ts';

const auto = readConfig([], {});

describe('by default', () => {
  test.each([
    [64, 32_768, 2048],
    [2048, 32_768, 2048],
    [8192, 131_072, 8192],
    [32_768, 524_288, 32_768],
    [131_072, 2_097_152, 131_072],
    [1_048_576, 2_097_152, 1_048_576],
  ])('a context of %i tokens allows %i characters and %i tokens of output', (context, promptChars, maxTokens) => {
    expect(limitsOf(auto, context)).toEqual({ promptChars, maxTokens });
  });

  test('a body holds the longest prompt: each character in one byte, or each token in 16', () => {
    expect(bodyLimit(auto.maxPromptChars)).toBe(64 * 1024 + 2 ** 21);
    expect(AUTO_TEXT_BYTES).toBeGreaterThanOrEqual(AUTO_PROMPT_CHARS.most);
    expect(AUTO_TEXT_BYTES).toBeGreaterThanOrEqual(131_072 * CHARS_PER_TOKEN);
  });
});

test('numbers are the limits for every context, and the body follows', () => {
  const config = readConfig(['--max-prompt-chars', '5000', '--max-tokens-cap', '100'], {});
  for (const context of [64, 131_072]) expect(limitsOf(config, context)).toEqual({ promptChars: 5000, maxTokens: 100 });
  expect(bodyLimit(config.maxPromptChars)).toBe(64 * 1024 + 12 * 5000);
});

test.each([
  ['--max-prompt-chars', '0'],
  ['--max-prompt-chars', '10000001'],
  ['--max-tokens-cap', 'none'],
])('%s %s is refused, and auto is named', (flag, value) => {
  expect(() => readConfig([flag, value], {})).toThrow(new RegExp(`${flag}.*auto, or 1 to`));
});
