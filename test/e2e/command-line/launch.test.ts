/** `launch`: what it prints, and agents that it starts: programs that record their arguments and environment. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AGENTS } from '../../../src/commands/launch/agents.ts';
import { type Run, runCli } from '../../support/cli.ts';
import { startRecorded } from '../../support/recorded-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

const TOKEN = 'only-for-friends';
let home: string;
let programs: string;
let env: Record<string, string>;
let worker: TestWorker;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'launch-'));
  programs = join(home, 'programs');
  env = { TMPDIR: home, HOME: join(home, 'user'), PATH: `${programs}:${process.env['PATH']}` };
  for (const folder of [programs, env['HOME'] ?? '']) await mkdir(folder);
  worker = await startRecorded(home, ['--worker-id', 'w1', '--api-token', TOKEN]);
});
afterAll(async () => {
  await worker.kill();
  await rm(home, { recursive: true, force: true });
});

const launch = (args: readonly string[], more: Record<string, string> = {}): Promise<Run> =>
  runCli(['launch', ...args], { env: { ...env, RBEES_API_TOKEN: TOKEN, ...more } });

/** A program of this name, which records its arguments and its environment, and then runs `end`. */
async function install(name: string, end = ''): Promise<string> {
  const record = join(home, `${name}.json`);
  const source = `require('fs').writeFileSync(${JSON.stringify(record)}, JSON.stringify([process.argv.slice(2), process.env]));`;
  await writeFile(join(programs, name), `#!${process.execPath}\n${source}\n${end}\n`);
  await chmod(join(programs, name), 0o755);
  return record;
}

const recordIn = async (path: string) =>
  JSON.parse(await readFile(path, 'utf8')) as [args: string[], variables: Record<string, string>];

describe('launch', () => {
  test.each(AGENTS.map(({ name }) => name))('%s prints its command, with the token as a reference', async (name) => {
    const { code, stdout, stderr } = await launch([name]);
    expect(code).toBe(0);
    expect(stdout).toContain(worker.url);
    expect(stdout).toContain('RBEES_API_TOKEN');
    expect(stdout + stderr).not.toContain(TOKEN);
    expect(stderr).toContain('agents need 16000 or more');
  });

  test.each(AGENTS.map((agent) => [agent.name, agent] as const))(
    '%s --run starts it with its configuration, and the arguments after --',
    async (name, agent) => {
      const record = await install(name);
      const { code, stdout, stderr } = await launch([name, '--run', '--', 'do', '--it now']);
      expect([code, stdout]).toEqual([0, '']);
      expect(stderr).not.toContain(TOKEN);
      const [args, variables] = await recordIn(record);
      const setup = agent.setup({ url: worker.url, model: 'haiku', hasToken: true });
      expect(args).toEqual([...setup.args, 'do', '--it now']);
      for (const [variable, value] of Object.entries(setup.variables))
        expect(variables[variable], variable).toBe(typeof value === 'string' ? value : TOKEN);
      expect(await readdir(env['HOME'] ?? '')).toEqual([]);
    },
  );

  test('keeps the environment of the user, and replaces the keys of other services', async () => {
    const record = await install('claude');
    await launch(['claude', '--run'], {
      ANTHROPIC_API_KEY: 'sk-of-the-user',
      HF_TOKEN: 'hf_of_the_user',
      EDITOR: 'vi',
    });
    const [, variables] = await recordIn(record);
    expect(variables).toMatchObject({ ANTHROPIC_API_KEY: '', HF_TOKEN: 'hf_of_the_user', EDITOR: 'vi' });
  });

  test('passes the exit code and the signal of the agent on', async () => {
    await install('goose', 'process.exit(7);');
    expect((await launch(['goose', '--run'])).code).toBe(7);
    await install('goose', "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);");
    expect((await launch(['goose', '--run'])).code).toBe(143);
  });

  test('names the way to install a missing agent, and exits 127', async () => {
    const { code, stderr } = await launch(['codex', '--run'], { PATH: join(home, 'user') });
    expect(code).toBe(127);
    expect(stderr).toContain('Codex cannot start: codex is not in PATH. Install it: npm install -g @openai/codex');
  });

  test.each([
    [[], /the agent is missing; allowed: codex, opencode/],
    [['cod\x1bex'], /is not allowed; allowed: codex, opencode/],
    [['codex', 'exec'], /"exec" is not expected/],
  ])('refuses a wrong command line: %j', async (args, message) => {
    const { code, stdout, stderr } = await launch(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  test('needs a worker that answers', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'launch-'));
    const none = await launch(['codex'], { TMPDIR: elsewhere });
    expect([none.code, none.stdout]).toEqual([1, '']);
    expect(none.stderr).toContain('No worker of this user runs on this machine');
    const refused = await launch(['codex'], { RBEES_API_TOKEN: 'wrong-token' });
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('RBEES_API_TOKEN');
    await rm(elsewhere, { recursive: true });
  });

  test('asks for a choice between several workers, and takes the one of --url', async () => {
    const other = await startRecorded(home, ['--worker-id', 'w2']);
    const { code, stdout, stderr } = await launch(['codex']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`--url ${worker.url}  w1 haiku`);
    expect(stderr).toContain(`--url ${other.url}  w2 haiku`);
    const chosen = await launch(['codex', '--url', other.url]);
    expect([chosen.code, chosen.stdout.includes(other.url)]).toEqual([0, true]);
    await other.kill();
  });
});
