/** The command line, the environment and `.env`: their order, and the errors of bad settings. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { startWorker } from '../../support/worker.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'settings-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a bad setting ends the start with exit code 2 and nothing on stdout', () => {
  test.each([
    [
      ['--port', '65536'],
      ['--port', '65536', '65535'],
    ],
    [['--prot', '1'], ['--prot']],
    [['serve', 'extra'], ['extra']],
    [['sing'], ['sing', 'serve', 'ask']],
    [['ask'], ['question']],
  ])('%j', async (args, named) => {
    const { code, stdout, stderr } = await runCli(args);
    expect([code, stdout]).toEqual([2, '']);
    for (const word of named) expect(stderr).toContain(word);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('from .env it is named by its variable and the file', async () => {
    await writeFile(join(folder, '.env'), 'RBEES_PORT=abc\n');
    const { code, stdout, stderr } = await runCli([], { cwd: folder });
    await rm(join(folder, '.env'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/RBEES_PORT.*\.env/);
  });
});

describe('beyond loopback', () => {
  test.each([
    [['--host', '0.0.0.0', '--api-token', 'long-enough-token']],
    [['--host', '0.0.0.0', '--allow-unauthenticated']],
  ])('%j is accepted', async (args) => {
    const worker = await startWorker({ args, early: true });
    const port = new URL(worker.url).port;
    expect((await fetch(`http://127.0.0.1:${port}/live`)).status).toBe(200);
    await worker.kill();
  });

  test('localhost and all of 127.0.0.0/8 are this machine', async () => {
    for (const host of ['localhost', '127.0.0.2']) {
      const worker = await startWorker({ args: ['--host', host], early: true });
      expect((await worker.get('/live')).status).toBe(200);
      expect(await worker.stop()).toBe(0);
    }
  });
});

test('serve --help-all names every flag, its variable, and the exit codes', async () => {
  const { code, stdout, stderr } = await runCli(['serve', '--help-all']);
  expect([code, stderr]).toEqual([0, '']);
  const flags = ['worker-id', 'model', 'dtype', 'device', 'runtime-library', 'host', 'port', 'callback-url'];
  flags.push('advertise-url', 'api-token', 'allow-unauthenticated', 'slots', 'context', 'queue', 'max-prompt-chars');
  flags.push(
    'cors-origin',
    'max-connections',
    'arrival-timeout',
    'detach-timeout',
    'slow-timeout',
    'sse-heartbeat',
    'replay-ttl',
    'replay-memory',
  );
  flags.push('max-tokens-cap', 'progress-every', 'request-timeout', 'shutdown-timeout', 'log-level', 'log-format');
  for (const flag of [...flags, 'narration']) {
    expect(stdout).toContain(`--${flag}`);
    expect(stdout).toContain(`RBEES_${flag.replaceAll('-', '_').toUpperCase()}`);
  }
  expect(stdout).toMatch(/exit codes/i);
});

test("pull --help-all names its flags and the hub's variables", async () => {
  const { stdout } = await runCli(['pull', '--help-all']);
  expect(stdout).toContain('rbees-workerd pull <org/model>[/folder][:tag][@revision]');
  for (const flag of ['--dtype', '--device', '--verify']) expect(stdout).toContain(flag);
  for (const name of ['TOKEN', 'ENDPOINT', 'HUB_CACHE', 'HOME', 'HUB_OFFLINE', 'HUB_DISABLE_SYMLINKS'])
    expect(stdout).toMatch(new RegExp(`^ .*\\bHF_${name}\\b`, 'm'));
});

test('--version prints the version, with any other flags', async () => {
  for (const args of [['--version'], ['--version', '--port', 'nonsense']]) {
    const { code, stdout } = await runCli(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  }
});
