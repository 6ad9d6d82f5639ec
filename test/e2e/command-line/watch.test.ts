/** `watch`: a job that runs, one that is over, one that another worker has, and Ctrl-C. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { track } from '../../support/processes.ts';
import { PtySession } from '../../support/pty.ts';
import { startRecorded } from '../../support/recorded-worker.ts';
import { stoppedOn } from '../../support/stopped-engine.ts';
import { CLI, type TestWorker, textOf } from '../../support/worker.ts';

let home: string;
let env: Record<string, string>;
let worker: TestWorker;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'watch-'));
  env = { TMPDIR: home };
  worker = await startRecorded(home, ['--worker-id', 'w1', '--slots', '1', '--replay-ttl', '600']);
});
afterAll(async () => {
  await worker.kill();
  await rm(home, { recursive: true, force: true });
});

const watch = (...args: string[]) => runCli(['watch', ...args], { env: { ...env, RBEES_URL: worker.url } });
const jobs = async () => ((await (await worker.get('/jobs')).json()) as { jobs: { readers: number }[] }).jobs;

describe('a job', () => {
  test('that is over is shown from its first event on: the answer on stdout, the narration on stderr', async () => {
    const events = await worker.execute({ job_id: 'over', prompt: 'The sea', seed: 3 });
    const { code, stdout, stderr } = await watch('over');
    expect([code, stdout.trim()]).toEqual([0, textOf(events).trim()]);
    expect(stderr).toContain('Engine finished');
    expect(stdout).not.toContain('Engine finished');
  });

  test('with --json is one event a line, exactly as the worker sent it', async () => {
    const events = await worker.execute({ job_id: 'exact', prompt: 'The sea', seed: 4 });
    const { code, stdout } = await watch('exact', '--json');
    expect(code).toBe(0);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(events.map(({ data }) => data));
  });

  test('that failed exits 1 with its error', async () => {
    const failed = await worker.execute({ ...longJob('late'), timeout_ms: 1 });
    expect(lastOf(failed).type).toBe('error');
    const { code, stderr } = await watch('late');
    expect(code).toBe(1);
    expect(stderr).toContain('TIMEOUT');
    expect((await watch('late', '--json')).code).toBe(1);
  });

  test('goes on after Ctrl-C, which exits 130', async () => {
    const { stream, engine } = await stoppedOn(worker);
    const child = track(
      spawn(process.execPath, [CLI, 'watch', 'running', '--url', worker.url], { env, stdio: 'pipe' }),
    );
    const exited = once(child, 'exit');
    let shown = '';
    child.stdout.on('data', (text) => {
      shown += text;
    });
    await eventually(async () => {
      expect((await jobs())[0]?.readers).toBe(2);
      expect(shown).not.toBe('');
    });
    child.kill('SIGINT');
    expect(await exited).toEqual([130, null]);
    await eventually(async () => expect((await jobs())[0]?.readers).toBe(1));
    process.kill(engine, 'SIGCONT');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
  });

  test('has a live pane on a terminal; Ctrl-C there restores the cursor', async () => {
    const { stream, engine } = await stoppedOn(worker);
    const session = new PtySession(['watch', 'running', '--url', worker.url], { env });
    await session.until((text) => /tokens/.test(text));
    expect(session.isCursorVisible).toBe(false);
    session.type('\x03');
    expect(await session.exited).toBe(130);
    expect(session.isCursorVisible).toBe(true);
    process.kill(engine, 'SIGCONT');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
  });

  test('ends quietly with the reader of its output', async () => {
    await worker.execute(longJob('long'));
    const script = `${process.execPath} ${CLI} watch long --json --url ${worker.url} | head -1; echo \${PIPESTATUS[0]}`;
    const child = track(spawn('bash', ['-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] }));
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(out).toMatch(/^\{"type":"started".*\}\n0\n$/);
    expect(err).toBe('');
  });

  test('is found on the worker of this machine that has it', async () => {
    const other = await startRecorded(home, ['--worker-id', 'w2', '--api-token', 'only-for-friends']);
    const headers = { Authorization: 'Bearer only-for-friends' };
    const events = await other.execute({ job_id: 'elsewhere', prompt: 'The sea', seed: 5 }, headers);
    const more = { ...env, RBEES_API_TOKEN: 'only-for-friends' };
    const found = await runCli(['watch', 'elsewhere'], { env: more });
    expect([found.code, found.stdout.trim()]).toEqual([0, textOf(events).trim()]);
    await worker.execute({ job_id: 'elsewhere', prompt: 'The sea' });
    const both = await runCli(['watch', 'elsewhere'], { env: more });
    expect([both.code, both.stdout]).toEqual([2, '']);
    expect(both.stderr).toContain(`--url ${worker.url}`);
    expect(both.stderr).toContain(`--url ${other.url}`);
    await other.kill();
  });

  test.each([
    [['unknown'], 'No worker has the job unknown'],
    [['a\x1b[2J'], 'No worker has the job a'],
  ])('that no worker has exits 1: %j', async (args, message) => {
    for (const more of [{ RBEES_URL: worker.url }, {}]) {
      const { code, stdout, stderr } = await runCli(['watch', ...args], { env: { ...env, ...more } });
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(message);
      expect(stderr).not.toContain('\x1b');
    }
  });
});

describe('without a job', () => {
  test('lists the running jobs first, then those that are over', async () => {
    await worker.execute({ job_id: 'listed', prompt: 'The sea', seed: 6 });
    const running = await Listener.open(worker, longJob('runs-now'));
    await running.untilToken();
    const { code, stdout, stderr } = await watch();
    await running.ended;
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^JOB +STATE +TOKENS +READERS +AGE +END +WORKER$/);
    expect(stdout).toMatch(/^listed +finished +\d+ /m);
    const json = JSON.parse((await watch('--json')).stdout) as { job_id: string; url: string }[];
    expect(json).toContainEqual(expect.objectContaining({ job_id: 'runs-now', url: worker.url }));
  });

  test('names a worker that does not answer, and exits 1', async () => {
    const { code, stderr } = await runCli(['watch', '--url', 'http://127.0.0.1:9'], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('http://127.0.0.1:9');
  });
});
