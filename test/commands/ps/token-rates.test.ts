/** The counter of tokens in the text of `/metrics`. */
import { expect, test } from 'vitest';
import { counterIn } from '../../../src/commands/ps/token-rates.ts';

test.each([
  [
    '# HELP worker_tokens_generated_total x\n# TYPE worker_tokens_generated_total counter\nworker_tokens_generated_total 42\n',
    42,
  ],
  ['worker_tokens_generated_total{app="a b"} 1.5e+6\n', 1_500_000],
  ['other 1\nworker_tokens_generated_total 0', 0],
  ['worker_tokens_generated_total_more 7\n', undefined],
  ['worker_tokens_generated_total NaN\n', undefined],
  ['', undefined],
])('is read from %j', (text, tokens) => {
  expect(counterIn(text)).toBe(tokens);
});
