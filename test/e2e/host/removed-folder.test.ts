/** A working directory that is removed before the start or later, and one without permissions. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid, nextEnginePid, runCli } from '../../support/cli.ts';
import { killAll } from '../../support/processes.ts';
import { CLI, startWorker, type TestWorker } from '../../support/worker.ts';

afterEach(killAll);

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'removed-'));
/** Removes the working directory, then runs the rest of the arguments in it. */
const IN_REMOVED = ['sh', '-c', 'rmdir "$PWD" && exec "$@"', 'sh'];
/** The tokenizer's thread encodes a prompt of this length, and finds that it does not fit into the context. */
const LONG_PROMPT = 'a brook '.repeat(1000);

async function expectAnswers(worker: TestWorker, job: string): Promise<void> {
  const refusal = await worker.post('/execute', { job_id: `long-${job}`, prompt: LONG_PROMPT });
  expect(await refusal.json()).toMatchObject({ error: { code: 'PROMPT_TOO_LONG' } });
  const events = await worker.execute({ job_id: job, prompt: 'A haiku', max_tokens: 3 });
  expect(events.at(-1)?.data).toMatchObject({ type: 'end' });
}

describe('a worker whose working directory is removed', () => {
  test('after the start encodes long prompts, restarts its engine and stops', async () => {
    const cwd = newFolder();
    const worker = await startWorker({ cwd });
    rmdirSync(cwd);
    await expectAnswers(worker, 'removed');
    const engine = enginePid(worker);
    process.kill(engine, 'SIGKILL');
    await nextEnginePid(worker, engine);
    await worker.line('engine.restarted');
    await expectAnswers(worker, 'restarted');
    expect(await worker.stop()).toBe(0);
  });

  test('before the start does the same, with its watchdog', async () => {
    const worker = await startWorker({ cwd: newFolder(), launcher: IN_REMOVED });
    await expectAnswers(worker, 'first');
    expect(worker.lines.map(({ event }) => event)).not.toContain('watchdog.missing');
    expect(await worker.stop()).toBe(0);
  });
});

describe('in a removed working directory', () => {
  test.each([
    ['RBEES_MODEL', './model', '--model'],
    ['RBEES_MODEL', 'model', '--model'],
    ['RBEES_RUNTIME_LIBRARY', '../lib/libonnxruntime.so', '--runtime-library'],
    ['RBEES_ENV_FILE', 'settings', 'RBEES_ENV_FILE'],
  ])('%s=%s is refused with the reason', async (variable, path, source) => {
    const { code, stderr } = await runCli(['serve'], {
      cwd: newFolder(),
      launcher: IN_REMOVED,
      env: { [variable]: path },
    });
    expect(code).toBe(2);
    expect(stderr).toBe(
      `rbees-workerd: ${source}: "${path}" is relative to the working directory, which has been removed; give an absolute path, or start in another folder\n`,
    );
  });

  test.each([
    ['doctor', ['doctor', '--device', 'cpu'], 'cpu     works'],
    ['ask', ['ask', 'A haiku', '--quiet'], '\n'],
  ])('%s works', async (_, args, text) => {
    const { code, stdout, stderr } = await runCli(args, { cwd: newFolder(), launcher: IN_REMOVED });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(text);
  });

  test('pull asks the hub, and refuses a relative cache', async () => {
    const start = { cwd: newFolder(), launcher: IN_REMOVED };
    const offline = await runCli(['pull', 'org/name'], { ...start, env: { HF_HUB_OFFLINE: '1', HF_HOME: '/nowhere' } });
    expect(offline.stderr).not.toContain('uv_cwd');
    const relative = await runCli(['pull', 'org/name'], {
      cwd: newFolder(),
      launcher: IN_REMOVED,
      env: { HF_HOME: 'hub' },
    });
    expect(relative.code).toBe(2);
    expect(relative.stderr).toContain('HF_HUB_CACHE or HF_HOME: "hub/hub" is relative to the working directory');
  });
});

const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
/** True if a process of another user can start Node.js and read the worker: both can be in a private folder. */
function nobodyCanRun(): boolean {
  const [setpriv = '', ...options] = AS_NOBODY;
  const script = 'test -r "$1" && "$0" --version';
  return spawnSync(setpriv, [...options, 'sh', '-c', script, process.execPath, CLI], { cwd: '/' }).status === 0;
}

/** The super-user has every permission, so the process gives its own up. */
describe.runIf(process.getuid?.() === 0 && nobodyCanRun())('a working directory without permissions', () => {
  const locked = ['sh', '-c', `chmod 000 . && exec ${AS_NOBODY.join(' ')} "$@"`, 'sh'];

  test('may have an .env, so serve needs --env-file none', async () => {
    const cwd = newFolder();
    try {
      const start = { cwd, launcher: locked };
      const refused = await runCli(['serve', '--port', '0'], start);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toMatch(
        /^rbees-workerd: The settings file .*\.env cannot be read \(EACCES.*\); --env-file none starts without it\n$/,
      );
      const worker = await startWorker({ ...start, env: { RBEES_ENV_FILE: 'none' } });
      await expectAnswers(worker, 'locked');
      expect(await worker.stop()).toBe(0);
    } finally {
      rmSync(cwd, { recursive: true });
    }
  });
});
