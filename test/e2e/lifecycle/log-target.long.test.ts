/**
 * Standard output that takes no lines for a while: a pipe without a reader, a full disk. Work continues and
 * no line is lost.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { lastOf, longJob } from '../../support/listener.ts';
import { killAll, track } from '../../support/processes.ts';
import { all, CLI, type LogLine, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

afterEach(killAll);

/** A line for every token: 250 kB for each job, and a pipe takes at most 256 kB. */
const TALKATIVE = ['--progress-every', '1', '--slots', '2'];
const JOBS = [0, 1];

/**
 * `tokens_out` of the lines `tokens.progress` of every job is 1, 2, 3 … 480: no line is missing, doubled or
 * out of order.
 */
function expectEveryLine(lines: readonly LogLine[]): void {
  for (const index of JOBS) {
    const mine = lines.filter((line) => line['job_id'] === `job-${index}`);
    const told = mine.filter((line) => line.event === 'tokens.progress').map((line) => line['tokens_out']);
    expect(told).toEqual(Array.from({ length: 480 }, (_, at) => at + 1));
    expect(mine.at(-1)?.event).toBe('time.explained');
  }
  expect(lines.map((line) => line.event)).not.toContain('stdout.lines_lost');
}

const runJobs = (execute: (job: object) => Promise<StreamEvent[]>): Promise<StreamEvent[][]> =>
  Promise.all(JOBS.map((index) => execute(longJob(`job-${index}`))));

describe('a pipe', () => {
  /** A worker with more lines than fit into its pipe, which has no reader from now on. */
  async function unread(): Promise<TestWorker> {
    const worker = await startWorker({ args: TALKATIVE });
    worker.process.stdout?.pause();
    for (const events of await runJobs((job) => worker.execute(job))) {
      expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 480 });
      expect(all(events, 'token').at(-1)).toMatchObject({ i: expect.any(Number) });
    }
    expect(worker.lines.filter((line) => line.event === 'time.explained').length).toBeLessThan(JOBS.length);
    return worker;
  }

  const closed = (worker: TestWorker): Promise<void> =>
    eventually(() =>
      worker.get('/live').then(
        () => expect.unreachable('The worker still listens.'),
        () => undefined,
      ),
    );

  test('without a reader delays no token, and delivers every line when it is read again', async () => {
    const worker = await unread();
    expect((await worker.get('/ready')).status).toBe(200);
    worker.process.stdout?.resume();
    await Promise.all(JOBS.map((index) => worker.line('time.explained', (line) => line['job_id'] === `job-${index}`)));
    expectEveryLine(worker.lines);
    expect(await worker.stop()).toBe(0);
  });

  test('with a slow reader keeps the worker at its end until the last line is delivered', async () => {
    const worker = await unread();
    worker.process.kill('SIGTERM');
    await closed(worker);
    await sleep(6000);
    expect(worker.process.exitCode).toBeNull();
    worker.process.stdout?.resume();
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expectEveryLine(worker.lines);
    expect(worker.foreign).toEqual([]);
    expect(worker.lines.at(-1)).toMatchObject({ event: 'server.shutdown', reason: 'sigterm' });
    expect(worker.stderr).toBe('');
  });

  test('without a reader does not keep a worker that gets a second signal', async () => {
    const worker = await unread();
    worker.process.kill('SIGTERM');
    await closed(worker);
    const exited = once(worker.process, 'exit');
    worker.process.kill('SIGTERM');
    expect((await exited)[0]).toBe(1);
    worker.process.stdout?.resume();
    await worker.exited;
  });
});

describe('a file', () => {
  /** A worker that appends its lines to `target`. `limit` is a shell command that runs before it. */
  async function start(target: string, limit: string) {
    const port = await freePort();
    const fd = openSync(target, 'a');
    const args = ['-c', `${limit} exec "$0" "$@"`, process.execPath, CLI, '--port', String(port), ...TALKATIVE];
    const env = { PATH: process.env['PATH'] ?? '' };
    const child = track(spawn('/bin/sh', args, { env, stdio: ['ignore', fd, 'pipe'] }));
    closeSync(fd);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => expect((await fetch(`${url}/ready`)).status).toBe(200));
    const stop = async (): Promise<unknown> => {
      child.kill('SIGTERM');
      return (await once(child, 'exit'))[0];
    };
    return { url, stderr: () => stderr, stop };
  }

  async function execute(url: string, job: object): Promise<string> {
    const headers = { 'Content-Type': 'application/json' };
    return (await fetch(`${url}/execute`, { method: 'POST', headers, body: JSON.stringify(job) })).text();
  }

  test('that may not grow delays no token, and gets every line when there is room again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'log-target-'));
    const file = join(folder, 'worker.log');
    try {
      // For a writer the same as a full disk, and it needs no mount: the test makes room by truncating the
      // file.
      const { url, stop } = await start(file, 'ulimit -f 256;');
      const texts = await Promise.all(JOBS.map((index) => execute(url, longJob(`job-${index}`))));
      for (const text of texts) expect(text).toContain('event: end');
      let written = '';
      const takeAway = async (): Promise<void> => {
        let size = -1;
        while (size !== statSync(file).size) {
          size = statSync(file).size;
          await sleep(600); // the worker tries again every 250 ms
        }
        written += readFileSync(file, 'utf8');
        truncateSync(file);
      };
      await takeAway();
      expect(written.length).toBeLessThanOrEqual(256 * 1024);
      const whole = (): boolean => JOBS.every((index) => new RegExp(`"time.explained".*"job-${index}"`).test(written));
      while (!whole()) await takeAway();
      expect(await stop()).toBe(0);
      written += readFileSync(file, 'utf8');
      const lines = written
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as LogLine);
      expectEveryLine(lines);
      expect(lines.at(-1)?.event).toBe('server.shutdown');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.runIf(process.platform === 'linux')('that is always full prevents neither the work nor the exit', async () => {
    const { url, stderr, stop } = await start('/dev/full', '');
    expect(await execute(url, longJob('job-0'))).toContain('event: end');
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect(await stop()).toBe(0);
    expect(stderr()).toMatch(/^rbees-workerd: \d{3,} lines could not be written to standard output\n$/);
  });
});
