/** `ask`: one prompt from the command line, its narration and its output. */
import { expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';

test('shows the narration and the output, and exits 0', async () => {
  const { code, stdout, stderr } = await runCli(['ask', 'Write a haiku about the sea']);
  expect([code, stderr]).toEqual([0, '']);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.filter((line) => line.startsWith('[Narration] ')).length).toBeGreaterThan(4);
  expect(lines.filter((line) => line.startsWith('[Output] ')).length).toBeGreaterThanOrEqual(1);
  expect(lines.at(-1)).toMatch(/tokens.*seed \d+/);
  for (const line of lines.slice(0, -1)) expect(line).toMatch(/^\[(Narration|Output)\] \S/);
});

test('works with a token, and does not print it', async () => {
  const { code, stdout } = await runCli(['ask', 'Hello'], { env: { RBEES_API_TOKEN: 'never-to-be-seen' } });
  expect(code).toBe(0);
  expect(stdout).toContain('[Output]');
  expect(stdout).not.toContain('never-to-be-seen');
});

test.each([[['ask']], [['ask', '--slots', '1']], [['ask', 'Hello', '--slots', 'x']], [['ask', 'Hello', 'again']]])(
  'exits 2 when the command line is wrong: %j',
  async (args) => {
    const { code, stdout, stderr } = await runCli(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).not.toBe('');
  },
);

test('exits 1 with the reason when its worker cannot start', async () => {
  const { code, stdout, stderr } = await runCli(['ask', 'Hello', '--model', 'no-such-folder']);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/no-such-folder/);
});
