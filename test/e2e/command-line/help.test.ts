/** `--help`: an overview, and each command on one screen. */
import { expect, test } from 'vitest';
import { COMMANDS, SERVE } from '../../../src/commands/table.ts';
import { SETTINGS } from '../../../src/config/settings.ts';
import { runCli } from '../../support/cli.ts';

const NAMES = [SERVE, ...COMMANDS].map(({ name }) => name);
const COLUMNS = 80;
/** Rows of a terminal, without the next prompt of the shell. */
const ROWS = 24;

const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

test('the overview names every command on one screen', async () => {
  const { code, stdout, stderr } = await runCli(['--help']);
  expect([code, stderr]).toEqual([0, '']);
  for (const { name, summary } of [SERVE, ...COMMANDS]) {
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(stdout).toContain(summary);
  }
  expect(stdout).toContain('rbees-workerd <command> --help');
  expect(widest(stdout)).toBeLessThanOrEqual(COLUMNS);
  expect(stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(30);
});

test.each(NAMES)('%s --help fits on one screen', async (name) => {
  for (const flag of ['--help', '-h']) {
    const { code, stdout, stderr } = await runCli([name, flag]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.startsWith(`rbees-workerd ${name === 'serve' ? '[serve]' : name}`)).toBe(true);
    expect(stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(ROWS);
    expect(widest(stdout)).toBeLessThanOrEqual(COLUMNS);
  }
});

test('--help-all alone lists all settings, as serve --help-all does', async () => {
  const [alone, named] = await Promise.all([runCli(['--help-all']), runCli(['serve', '--help-all'])]);
  expect(alone).toEqual(named);
  for (const name of Object.keys(SETTINGS)) expect(alone.stdout).toContain(`--${name}\n`);
});

test('an unknown command is refused, and a similar one is named', async () => {
  for (const args of [
    ['aks', 'Hello'],
    ['aks', '--help'],
  ]) {
    const { code, stdout, stderr } = await runCli(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Unknown command "aks"; allowed: serve, ask, pull');
    expect(stderr).toContain('Did you mean ask?');
  }
});
