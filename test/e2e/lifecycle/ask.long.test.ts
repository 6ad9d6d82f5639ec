/** `ask` with settings for its worker, and with a prompt that the worker refuses. */
import { expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';

test('passes settings on to its worker', async () => {
  const { code, stdout } = await runCli(['ask', 'Write a haiku about the moon', '--narration', 'off', '--slots', '1']);
  expect(code).toBe(0);
  expect(stdout).not.toContain('[Narration]');
  expect(stdout).toContain('[Output]');
});

test('exits 1 with the reason when the worker refuses the prompt', async () => {
  const { code, stderr } = await runCli(['ask', 'sea '.repeat(2000)]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/tokens/);
});
