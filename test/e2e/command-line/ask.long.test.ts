/** `ask` with a question that its worker refuses. */
import { expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';

test('exits 1 with the reason when the worker refuses the question', async () => {
  const { code, stdout, stderr } = await runCli(['ask', 'sea '.repeat(2000)]);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/PROMPT_TOO_LONG: .*tokens/);
});
