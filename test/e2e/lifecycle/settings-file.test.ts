/** Files of settings, and the tokens of the processes above an engine. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MAX_PIPE_MS } from '../../../src/config/settings-file.ts';
import { enginePid, runCli } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { enginesOf, kill, track } from '../../support/processes.ts';
import { CLI, startWorker, type TestWorker } from '../../support/worker.ts';

const TOKEN = 'never-to-be-seen-by-a-library';
/** The library does not exist: a process that loads it reports its name. */
const FOREIGN = `RBEES_RUNTIME_LIBRARY=./no-such-library.so
RBEES_HOST=0.0.0.0
RBEES_ALLOW_UNAUTHENTICATED=true
RBEES_CORS_ORIGIN=https://evil.example
RBEES_CALLBACK_URL=http://127.0.0.1:9/
RBEES_LOG_LEVEL=fatal
RBEES_WORKER_ID=from-file
`;

let folder: string;
let worker: TestWorker | undefined;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'settings-file-')));
  await writeFile(join(folder, '.env'), FOREIGN);
});
afterEach(async () => {
  await worker?.kill();
  worker = undefined;
});
afterAll(() => rm(folder, { recursive: true }));

describe('a variable that is no setting', () => {
  test.each([
    ['ask', ['ask', 'the sea', '--', '--max-tokens-cap', '2']],
    ['doctor', ['doctor', '--json', '--device', 'cpu']],
    ['pull', ['pull', 'org/model']],
  ])('is reported by %s on stderr, by its name', async (_, args) => {
    const env = { RBEES_SLOT: TOKEN, HF_HUB_OFFLINE: '1', HF_HUB_CACHE: folder };
    const { stderr } = await runCli(args, { env });
    expect(stderr.split('\n')[0]).toBe(
      'Rename RBEES_SLOT to RBEES_SLOTS: the variable in the environment is no setting',
    );
    expect(stderr).not.toContain(TOKEN);
  });
});

describe('.env of a foreign folder', () => {
  test('serve takes no library, door or log level from it, and reports both', async () => {
    worker = await startWorker({ cwd: folder });
    const path = join(folder, '.env');
    expect(await worker.line('worker.startup')).toMatchObject({
      worker_id: 'from-file',
      settings_file: path,
      settings: 'worker-id',
    });
    expect(await worker.line('settings.ignored')).toMatchObject({
      level: 'WARN',
      human: expect.stringContaining('--env-file'),
      settings_file: path,
      settings: 'runtime-library, host, callback-url, cors-origin, allow-unauthenticated, log-level',
    });
    expect(new URL(worker.url).hostname).toBe('127.0.0.1');
    const answer = await worker.get('/health', { Origin: 'https://evil.example' });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect(worker.lines.filter(({ event }) => event.startsWith('callback.'))).toEqual([]);
  });

  test('serve reports the variables that are no settings, by their names', async () => {
    const own = await realpath(await mkdtemp(join(tmpdir(), 'settings-unknown-')));
    await writeFile(join(own, '.env'), `RBEES_SLOT=${TOKEN}\n`);
    worker = await startWorker({ cwd: own, env: { RBEES_QEUE: TOKEN, RBEES_TEMPERATURE: TOKEN }, early: true });
    await rm(own, { recursive: true });
    expect(worker.lines.filter(({ event }) => event === 'settings.unknown')).toMatchObject([
      { level: 'WARN', setting: 'RBEES_QEUE', suggestion: 'RBEES_QUEUE', unknown_settings: 3 },
      { setting: 'RBEES_TEMPERATURE', human: expect.stringMatching(/^Remove RBEES_TEMPERATURE/) },
      { setting: 'RBEES_SLOT', suggestion: 'RBEES_SLOTS', settings_file: join(own, '.env') },
    ]);
    expect(worker.stdout).not.toContain(TOKEN);
  });

  test('ask and doctor read nothing from it', async () => {
    const asked = await runCli(['ask', 'Hello', '--quiet'], { cwd: folder });
    expect([asked.code, asked.stderr]).toEqual([0, '']);
    const examined = await runCli(['doctor', '--json', '--device', 'cpu'], { cwd: folder });
    expect(examined.code).toBe(0);
    expect(examined.stdout).not.toContain('no-such-library');
  });

  test('its token does not switch off the check of the Host header', async () => {
    const own = await mkdtemp(join(tmpdir(), 'settings-token-'));
    await writeFile(join(own, '.env'), `RBEES_API_TOKEN=${TOKEN}\n`);
    worker = await startWorker({ cwd: own, early: true });
    await rm(own, { recursive: true });
    const headers = { Authorization: `Bearer ${TOKEN}` };
    expect((await worker.get('/health')).status).toBe(401);
    expect((await worker.get('/health', headers)).status).not.toBe(401);
    expect(await statusFor('evil.example', worker.url, headers)).toBe(403);
    expect(worker.stdout).not.toContain(TOKEN);
  });
});

/** The status of `GET /health` with another name in `Host`, which fetch does not send. */
async function statusFor(host: string, url: string, headers: Record<string, string>): Promise<number | undefined> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    request(`${url}/health`, { headers: { ...headers, Host: host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .once('error', reject)
      .end();
  });
}

test('a folder named .env is not read; RBEES_ENV_FILE refuses it with exit code 2', async () => {
  const own = await mkdtemp(join(tmpdir(), 'settings-folder-'));
  await mkdir(join(own, '.env'));
  worker = await startWorker({ cwd: own, early: true });
  expect(await worker.line('worker.startup')).not.toHaveProperty('settings_file');
  const { code, stderr } = await runCli([], { cwd: own, env: { RBEES_ENV_FILE: '.env' } });
  await rm(own, { recursive: true });
  expect([code, stderr]).toEqual([
    2,
    expect.stringMatching(/RBEES_ENV_FILE: "\.env" cannot be read \(it is a folder\)/),
  ]);
});

describe('a file that --env-file names', () => {
  test.each([
    ['serve', ['serve', '--port', '0']],
    ['ask', ['ask', 'Hello', '--']],
    ['doctor', ['doctor', '--json', '--device', 'cpu']],
  ])('may set everything, a library too: %s', async (_, command) => {
    const { code, stdout, stderr } = await runCli([...command, '--env-file', '.env', '--api-token', TOKEN], {
      cwd: folder,
    });
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('no-such-library');
  });

  test('that is missing ends the start with exit code 2', async () => {
    for (const command of [[], ['ask', 'Hello'], ['doctor'], ['pull', 'org/name']]) {
      const { code, stdout, stderr } = await runCli(command, { env: { RBEES_ENV_FILE: 'no-such.env' } });
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/RBEES_ENV_FILE.*no-such\.env.*ENOENT/);
    }
    // Without `--`, Node.js itself refuses the missing file, with exit code 9: see cli.ts.
    const child = track(spawn(process.execPath, ['--', CLI, '--env-file', 'no-such.env'], { stdio: 'ignore' }));
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(2);
  });
});

const memoryOf = (pid: number | undefined): string =>
  readFileSync(`/proc/${pid}/environ`, 'latin1') + readFileSync(`/proc/${pid}/cmdline`, 'latin1');

describe.runIf(process.platform === 'linux')('a token is not in /proc', () => {
  const secrets = {
    RBEES_API_TOKEN: TOKEN,
    RBEES_CALLBACK_TOKEN: 'callback_never-to-be-seen',
    HF_TOKEN: 'hf_never-to-be-seen',
    HUGGING_FACE_HUB_TOKEN: 'hf_neither',
  };

  test('of a worker and its engine, from the environment', async () => {
    worker = await startWorker({ env: secrets });
    const own = memoryOf(worker.process.pid);
    expect(own).toContain('RBEES_API_TOKEN=***');
    for (const secret of Object.values(secrets)) expect(own).not.toContain(secret);
    expect(memoryOf(enginePid(worker))).not.toMatch(/TOKEN|never-to-be-seen/);
    expect((await worker.get('/health')).status).toBe(401);
    expect((await worker.get('/health', { Authorization: `Bearer ${TOKEN}` })).status).toBe(200);
    expect(worker.lines.map(({ event }) => event)).not.toContain('secrets.exposed');
  });

  test.each([
    [['--api-token', TOKEN]],
    [[`--api-token=${TOKEN}`]],
    [['--api-token', TOKEN, '--callback-token', TOKEN]],
    [[`--callback-token=${TOKEN}`, '--api-token', TOKEN]],
  ])('of a worker, from the command line: %j', async (args) => {
    worker = await startWorker({ args, early: true });
    expect(memoryOf(worker.process.pid)).toContain('--api-token');
    expect(memoryOf(worker.process.pid)).not.toContain(TOKEN);
    expect((await worker.get('/health', { Authorization: `Bearer ${TOKEN}` })).status).not.toBe(401);
  });

  test.each([
    ['ask', ['ask', 'Hello', '--api-token', TOKEN], {}],
    ['doctor', ['doctor', '--device', 'cpu'], secrets],
  ])('of %s and the processes that it starts', async (_, args, env) => {
    const child = track(
      spawn(process.execPath, [CLI, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'ignore' }),
    );
    const pid = child.pid ?? 0;
    // Each process hides its token before it starts the next one.
    await eventually(() => {
      const parents = [pid, ...childrenOf(pid)];
      expect(parents.flatMap(enginesOf)).not.toEqual([]);
      for (const one of [...parents, ...parents.flatMap(enginesOf)])
        expect(memoryOf(one)).not.toMatch(/never-to-be-seen/);
    });
    await kill(child);
  });

  test('and a worker that cannot hide it says so', async () => {
    const refuses = `import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module';
      const open = fs.openSync;
      fs.openSync = (path, ...rest) => {
        if (path === '/proc/self/mem') throw new Error('read-only');
        return open(path, ...rest);
      };
      syncBuiltinESMExports();`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(refuses)}`;
    worker = await startWorker({ env: { NODE_OPTIONS, ...secrets }, early: true });
    expect(await worker.line('secrets.exposed')).toMatchObject({ level: 'WARN', reason: 'read-only' });
    await worker.kill();
    worker = await startWorker({ env: { NODE_OPTIONS }, early: true });
    expect(worker.lines.map(({ event }) => event)).not.toContain('secrets.exposed');
  });

  test('nor behind the debugger that SIGUSR1 opens', async () => {
    worker = await startWorker({ env: secrets, early: true });
    worker.process.kill('SIGUSR1');
    expect((await worker.get('/live')).status).toBe(200);
    await worker.stop();
    expect(worker.stderr).toBe('');
  });
});

/** Living children of a process: only those that exist at this moment. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
}

test.runIf(process.platform === 'linux')('settings of a slow command come through standard input', async () => {
  // The limit of named pipes does not apply: a pipe of a shell always has its writer.
  const launcher = ['sh', '-c', `(sleep ${MAX_PIPE_MS / 1000 + 1}; echo RBEES_PORT=none) | "$@"`, 'sh'];
  // Node.js reads the file of a flag --env-file before this program, and a pipe has its text only once.
  const { code, stderr } = await runCli([], { launcher, env: { RBEES_ENV_FILE: '/dev/stdin' } });
  expect([code, stderr]).toEqual([2, expect.stringContaining('RBEES_PORT in /dev/stdin: "none" is not allowed')]);
});
