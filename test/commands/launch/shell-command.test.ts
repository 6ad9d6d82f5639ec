/** The printed command, run by real shells: a hostile name of a model stays one word, and the token a reference. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { AGENTS } from '../../../src/commands/launch/agents.ts';
import { shellCommand } from '../../../src/commands/launch/shell-command.ts';

const HOSTILE = `a'b"c$(touch hacked)\`touch hacked\`;#&|\\ é`;
const URL = 'http://127.0.0.1:1';
const folder = mkdtempSync(join(tmpdir(), 'shell-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
/** A program that prints its arguments and its environment as JSON. */
const probe = join(folder, 'probe');
writeFileSync(
  probe,
  `#!${process.execPath}\nprocess.stdout.write(JSON.stringify([process.argv.slice(2), process.env]));\n`,
);
chmodSync(probe, 0o755);

const isInstalled = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

describe.each(['bash', 'zsh', 'sh'])('in %s', (shell) => {
  test.skipIf(!isInstalled(shell)).each(AGENTS.map((agent) => [agent.name, agent] as const))(
    'the command of %s gets its arguments and variables, and the token by reference',
    (_, agent) => {
      const setup = agent.setup({ url: URL, model: HOSTILE, hasToken: true });
      const text = shellCommand(probe, setup);
      expect(text).not.toContain('very-secret');
      const env = { RBEES_API_TOKEN: 'very-secret', HOME: folder };
      const run = spawnSync(shell, ['-c', text], { env, cwd: folder, encoding: 'utf8' });
      const [args, variables] = JSON.parse(run.stdout) as [string[], Record<string, string>];
      expect(args).toEqual(setup.args);
      for (const [name, value] of Object.entries(setup.variables))
        expect(variables[name], name).toBe(typeof value === 'string' ? value : 'very-secret');
    },
  );
});

test('a worker without a token gives the agents a key that is no secret', () => {
  for (const { setup } of AGENTS) {
    const { args, variables } = setup({ url: URL, model: 'haiku', hasToken: false });
    expect(JSON.stringify([args, variables])).not.toContain('RBEES_API_TOKEN');
  }
});

test('the name of a model is no reference to a file or a variable in the configuration of opencode', () => {
  const model = '{file:/etc/passwd} {env:HOME}';
  const opencode = AGENTS.find(({ name }) => name === 'opencode');
  const setup = opencode?.setup({ url: URL, model, hasToken: true });
  const text = String(setup?.variables['OPENCODE_CONFIG_CONTENT']);
  expect(text.match(/\{(?:env|file):[^}]*\}/g)).toEqual(['{env:RBEES_API_TOKEN}']);
  expect(JSON.parse(text)).toMatchObject({
    model: `worker/${model}`,
    provider: { worker: { options: { apiKey: '{env:RBEES_API_TOKEN}' }, models: { [model]: { name: model } } } },
  });
});
