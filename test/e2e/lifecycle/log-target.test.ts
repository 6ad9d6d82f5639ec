/** Where the lines go is not always there: a pipe that nobody reads for a while, a disk that is full. The work goes on, no line is lost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { lastOf, longJob } from '../../support/listener.ts';
import { all, CLI, type LogLine, type StreamEvent, startWorker, type TestWorker } from '../../support/worker.ts';

/** A line for every token: two megabytes of them in eight jobs, more than any pipe holds. */
const TALKATIVE = ['--progress-every', '1', '--slots', '4'];
const JOBS = Array.from({ length: 8 }, (_, index) => index);

/** The figures of `tokens.progress` of every job are 1, 2, 3 … 480: no line is missing, doubled or out of order. */
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
  let worker: TestWorker;
  afterEach(() => worker.kill());

  /** A worker whose lines nobody reads from now on, and which has told more of them than fit into a pipe. */
  async function unread(): Promise<void> {
    worker = await startWorker({ args: TALKATIVE });
    worker.process.stdout?.pause();
    for (const events of await runJobs((job) => worker.execute(job))) {
      expect(lastOf(events)).toMatchObject({ type: 'end', tokens_out: 480 });
      expect(all(events, 'token').at(-1)).toMatchObject({ i: expect.any(Number) });
    }
    expect(worker.lines.filter((line) => line.event === 'time.explained').length).toBeLessThan(JOBS.length);
  }

  const closed = (): Promise<unknown> =>
    expect
      .poll(
        () =>
          worker.get('/live').then(
            () => 'open',
            () => 'closed',
          ),
        { timeout: 20_000, interval: 50 },
      )
      .toBe('closed');

  test('that nobody reads holds no token back, and has every line when it is read again', async () => {
    await unread();
    expect((await worker.get('/ready')).status).toBe(200);
    worker.process.stdout?.resume();
    await Promise.all(JOBS.map((index) => worker.line('time.explained', (line) => line['job_id'] === `job-${index}`)));
    expectEveryLine(worker.lines);
    expect(await worker.stop()).toBe(0);
  });

  test('that is slow at the end is waited for to the very last line', async () => {
    await unread();
    worker.process.kill('SIGTERM');
    await closed();
    await sleep(6000);
    expect(worker.process.exitCode).toBeNull();
    worker.process.stdout?.resume();
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expectEveryLine(worker.lines);
    expect(worker.foreign).toEqual([]);
    expect(worker.lines.at(-1)).toMatchObject({ event: 'server.shutdown', reason: 'sigterm' });
    expect(worker.stderr).toBe('');
  });

  test('that nobody reads does not keep a worker that is told twice to stop', async () => {
    await unread();
    worker.process.kill('SIGTERM');
    await closed();
    worker.process.kill('SIGTERM');
    const [code] = (await once(worker.process, 'exit')) as [number];
    expect(code).toBe(1);
    worker.process.stdout?.resume();
    await worker.exited;
  });
});

describe('a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-target-'));
  const file = join(folder, 'worker.log');
  let child: ReturnType<typeof spawn> | undefined;
  afterEach(async () => {
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** A worker that appends its lines to `target`; `limit` is a command of the shell that goes before it. */
  async function start(target: string, limit: string): Promise<{ url: string; stderr: () => string }> {
    const port = await freePort();
    const fd = openSync(target, 'a');
    const args = ['-c', `${limit} exec "$0" "$@"`, process.execPath, CLI, '--port', String(port), ...TALKATIVE];
    child = spawn('/bin/sh', args, { env: { PATH: process.env['PATH'] ?? '' }, stdio: ['ignore', fd, 'pipe'] });
    closeSync(fd);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const url = `http://127.0.0.1:${port}`;
    const ready = (): Promise<number> =>
      fetch(`${url}/ready`).then(
        ({ status }) => status,
        () => 0,
      );
    await expect.poll(ready, { timeout: 20_000 }).toBe(200);
    return { url, stderr: () => stderr };
  }

  async function freePort(): Promise<number> {
    const { createServer } = await import('node:net');
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }

  async function execute(url: string, job: object): Promise<string> {
    const headers = { 'Content-Type': 'application/json' };
    return (await fetch(`${url}/execute`, { method: 'POST', headers, body: JSON.stringify(job) })).text();
  }

  test('that may not grow any more holds no token back, and has every line when there is room again', async () => {
    // The same for a writer as a disk that is full, and nobody needs to mount one: what was written can be taken away.
    const { url } = await start(file, 'ulimit -f 256;');
    const texts = await Promise.all(JOBS.map((index) => execute(url, longJob(`job-${index}`))));
    for (const text of texts) expect(text).toContain('event: end');
    let written = '';
    const takeAway = async (): Promise<void> => {
      let size = -1;
      while (size !== statSync(file).size) {
        size = statSync(file).size;
        await sleep(600); // more than one try of the worker
      }
      written += readFileSync(file, 'utf8');
      truncateSync(file);
    };
    await takeAway();
    expect(written.length).toBeLessThanOrEqual(256 * 1024);
    const whole = (): boolean => JOBS.every((index) => new RegExp(`"time.explained".*"job-${index}"`).test(written));
    while (!whole()) await takeAway();
    child?.kill('SIGTERM');
    const [code] = (await once(child ?? process, 'exit')) as [number];
    expect(code).toBe(0);
    written += readFileSync(file, 'utf8');
    const lines = written
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as LogLine);
    expectEveryLine(lines);
    expect(lines.at(-1)?.event).toBe('server.shutdown');
  });

  test.runIf(process.platform === 'linux')(
    'that is always full does not keep the worker from its work, nor from its end',
    async () => {
      const { url, stderr } = await start('/dev/full', '');
      expect(await execute(url, longJob('job-0'))).toContain('event: end');
      expect((await fetch(`${url}/health`)).status).toBe(200);
      child?.kill('SIGTERM');
      const [code] = (await once(child ?? process, 'exit')) as [number];
      expect(code).toBe(0);
      expect(stderr()).toMatch(/^rbees-workerd: \d{3,} lines could not be written to standard output\n$/);
    },
  );
});
