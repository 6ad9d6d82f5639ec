/** `completions`: the scripts in real shells. zsh and fish are skipped where they are not installed. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AGENTS } from '../../../src/commands/launch/agents.ts';
import { COMMANDS } from '../../../src/commands/table.ts';
import { DTYPES, SETTINGS } from '../../../src/config/settings.ts';
import { runCli } from '../../support/cli.ts';

const home = mkdtempSync(join(tmpdir(), 'completions-'));
const cache = join(home, 'hub cache');
afterAll(() => rmSync(home, { recursive: true, force: true }));

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];
const isInstalled = (shell: Shell): boolean => spawnSync(shell, ['-c', 'true']).status === 0;
const scriptOf = (shell: Shell): string => join(home, `script.${shell}`);

beforeAll(async () => {
  mkdirSync(join(cache, 'models--org--small-model'), { recursive: true });
  mkdirSync(join(cache, 'models--$(touch ran-a-command)--`touch ran-a-command`'));
  mkdirSync(join(home, 'a folder'));
  writeFileSync(join(home, 'settings.env'), '');
  for (const shell of SHELLS) {
    const { code, stdout, stderr } = await runCli(['completions', shell]);
    expect([code, stderr]).toEqual([0, '']);
    writeFileSync(scriptOf(shell), stdout);
  }
});

function run(shell: Shell, args: readonly string[]): string {
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, HF_HUB_CACHE: cache, TERM: 'dumb' };
  const { stdout, stderr, status } = spawnSync(shell, args, { cwd: home, env, encoding: 'utf8' });
  expect([stderr, status]).toEqual(['', 0]);
  return stdout;
}

/** The completions of the last word, in any order. */
const COMPLETE: Record<Shell, (words: readonly string[]) => string[]> = {
  bash: (words) => {
    const split = words.flatMap((word) => (/^--.*=/.test(word) ? word.split(/(=)/) : [word]));
    const script = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _rbees_workerd; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return linesOf(run('bash', ['-c', script, scriptOf('bash'), 'rbees-workerd', ...split]));
  },
  zsh: (words) => {
    // The functions of the completion system are replaced by ones that print.
    const script = `
      compdef() { }
      compset() { PREFIX=\${PREFIX#*=} }
      compadd() { while [[ $1 == -* ]]; do [[ $1 == -- ]] && { shift; break }; shift; done; all+=("$@") }
      _describe() { local list=\${@[-1]}; for row in "\${(@P)list}"; do all+=("\${row%%:*}"); done }
      _files() { if [[ $1 == -/ ]]; then all+=(*(N/)); else all+=(*(N)); fi }
      source "$1"; shift
      all=() words=("$@") CURRENT=$# PREFIX=\${@[-1]}
      _rbees_workerd
      for one in $all; do [[ $one == $PREFIX* ]] && print -r -- $one; done; true`;
    return linesOf(run('zsh', ['-f', '-c', script, 'zsh', scriptOf('zsh'), 'rbees-workerd', ...words]));
  },
  fish: (words) => {
    const line = ['rbees-workerd', ...words].map((word) => word.replaceAll("'", "\\'")).join(' ');
    const script = `source ${scriptOf('fish')}; complete -C '${line}'`;
    return linesOf(run('fish', ['--private', '--no-config', '-c', script])).map((one) => one.split('\t')[0] ?? '');
  },
};

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe.each(SHELLS.filter(isInstalled))('in %s', (shell) => {
  const complete = (...words: string[]): string[] => COMPLETE[shell](words);

  test('the script has no error of syntax', () => {
    run(shell, ['-n', scriptOf(shell)]);
  });

  test('the first word is a command', () => {
    expect(complete('')).toEqual(expect.arrayContaining(['serve', ...COMMANDS.map(({ name }) => name)]));
    expect(complete('pu')).toEqual(['pull']);
  });

  test('a line that begins with a flag is one of serve, and has all settings', () => {
    expect(complete('--')).toEqual(expect.arrayContaining(Object.keys(SETTINGS).map((name) => `--${name}`)));
    expect(complete('serve', '--max-tok')).toEqual(['--max-tokens-cap']);
  });

  test('a command has its own flags only', () => {
    const flags = complete('ps', '--');
    expect(flags).toEqual(expect.arrayContaining(['--url', '--json', '--no-rate', '--help']));
    expect(flags).not.toContain('--dtype');
  });

  test('ask has the fields of a request as flags, with their words', () => {
    expect(complete('ask', '--temp')).toEqual(expect.arrayContaining(['--temperature', '--template']));
    expect(complete('ask', '--on-disconnect', '').sort()).toEqual(['cancel', 'continue']);
    expect(complete('ask', '--schema', 'set')).toEqual(['settings.env']);
  });

  test('settings of the worker follow -- of ask', () => {
    expect(complete('ask', 'Hello', '--', '--max-tokens-c')).toEqual(['--max-tokens-cap']);
    expect(complete('ask', 'Hello', '--max-tokens')).not.toContain('--max-tokens-cap');
  });

  test('a flag with fixed values completes them', () => {
    expect(complete('serve', '--dtype', 'q').sort()).toEqual(DTYPES.filter((one) => one.startsWith('q')).sort());
    expect(complete('pull', '--dtype', 'fp').sort()).toEqual(['fp16', 'fp32']);
    expect(complete('--ready-when-full', 't')).toEqual(['true']);
    expect(complete('serve', '--port', '')).toEqual([]);
  });

  test('a flag and its value can be one word', () => {
    const found = complete('serve', '--log-format=p').map((one) => one.replace(/^.*=/, ''));
    expect(found).toEqual(['pretty']);
  });

  test('a model is a name of the cache or a folder', () => {
    expect(complete('serve', '--model', 'org')).toEqual(['org/small-model']);
    expect(complete('serve', '--model', 'a').join().replaceAll('\\', '')).toMatch(/^a folder\/?$/);
  });

  test('a command in the name of a folder of the cache does not run', () => {
    complete('serve', '--model', '');
    expect(existsSync(join(home, 'ran-a-command'))).toBe(false);
  });

  test('a file is completed', () => {
    expect(complete('serve', '--env-file', 'set')).toEqual(['settings.env']);
  });

  test('the first argument of launch is an agent', () => {
    expect(complete('launch', '').sort()).toEqual(AGENTS.map(({ name }) => name).sort());
    expect(complete('completions', 'f')).toEqual(['fish']);
  });
});

test.each([[[]], [['csh']], [['bash', 'zsh']], [['b\x1bsh']]])('refuses a wrong shell: %j', async (args) => {
  const { code, stdout, stderr } = await runCli(['completions', ...args]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('allowed: bash, zsh, fish');
  expect(stderr).not.toContain('\x1b');
});
