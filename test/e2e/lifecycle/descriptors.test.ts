/** A worker without free file descriptors, with a low limit of them, and without /proc. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { lastOf } from '../../support/listener.ts';
import { open } from '../../support/raw.ts';
import { startWorker, type TestWorker, textOf } from '../../support/worker.ts';

/** True if this system has the command, and permits it. */
const works = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;
const hasLimits = process.platform === 'linux' && works('prlimit', '--version');
const WITHOUT_PROC = ['unshare', '-m', 'sh', '-c', 'umount -l /proc && exec "$@"', 'sh'];
const canUnmount = process.platform === 'linux' && works(WITHOUT_PROC[0] ?? '', ...WITHOUT_PROC.slice(1), 'true');

let worker: TestWorker;
afterEach(() => worker.kill());

/** Sets the soft limit of open files of the running worker. */
function limitFiles(limit: number): void {
  execFileSync('prlimit', ['--pid', String(worker.process.pid), `--nofile=${limit}:`]);
}

const filesOf = (pid: number | undefined): number => readdirSync(`/proc/${pid}/fd`).length;

interface Answer {
  readonly status: number | undefined;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** A client that sends all its requests over one connection, which exists before the descriptors are gone. */
function clientOf({ url }: TestWorker): (method: string, path: string, body?: object) => Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = body && { 'Content-Type': 'application/json' };
      request(url + path, { method, agent, ...(headers && { headers }) }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.once('end', () =>
          resolve({ status: response.statusCode, retryAfter: response.headers['retry-after'], text }),
        );
      })
        .once('error', reject)
        .end(body && JSON.stringify(body));
    });
}

/** Longer than the event loop encodes, and longer than the context. */
const LONG_TEXT = 'The sea and the moon. '.repeat(120);
const job = (id: string, prompt = 'The sea'): object => ({ job_id: id, prompt, raw: true, max_tokens: 3 });

describe.runIf(hasLimits)('without a free file descriptor', () => {
  test('probes, metrics and short prompts are answered; a long prompt may try again', async () => {
    worker = await startWorker();
    const ask = clientOf(worker);
    expect(JSON.parse((await ask('GET', '/health')).text)).toHaveProperty('memory_bytes');
    limitFiles(3);
    const health = await ask('GET', '/health');
    expect([health.status, JSON.parse(health.text)]).toEqual([200, expect.objectContaining({ status: 'healthy' })]);
    // The figure is cached: the reading that fails begins when the last one is old.
    await eventually(async () =>
      expect(JSON.parse((await ask('GET', '/health')).text)).not.toHaveProperty('memory_bytes'),
    );
    expect((await ask('GET', '/live')).status).toBe(200);
    expect((await ask('GET', '/ready')).status).toBe(200);
    const metrics = await ask('GET', '/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.text).toMatch(/^worker_uptime_seconds \d/m);
    expect(metrics.text).toMatch(/^nodejs_heap_size_used_bytes \d/m);
    expect(metrics.text).not.toMatch(/^(?:process_resident_memory_bytes|process_open_fds|worker_memory_bytes) /m);

    const refused = await ask('POST', '/execute', job('long', LONG_TEXT));
    expect([refused.status, refused.retryAfter]).toEqual([503, '1']);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'WORKER_UNHEALTHY', retriable: true } });
    expect(refused.text).toContain('file descriptor');
    expect(await worker.line('tokenizer.replaced')).toMatchObject({
      reason: expect.stringContaining('file descriptor'),
    });
    expect(worker.lines.filter(({ event }) => event === 'request.invalid')).toEqual([]);
    expect((await ask('POST', '/execute', job('short'))).text).toContain('event: end');

    limitFiles(1024);
    const judged = await ask('POST', '/execute', job('long', LONG_TEXT));
    expect([judged.status, judged.text]).toEqual([413, expect.stringContaining('PROMPT_TOO_LONG')]);
    await eventually(async () => expect(JSON.parse((await ask('GET', '/health')).text)).toHaveProperty('memory_bytes'));
    expect(await worker.stop()).toBe(0);
  });

  test('the next engine starts as soon as there are descriptors again', async () => {
    worker = await startWorker();
    const ask = clientOf(worker);
    await ask('GET', '/health');
    limitFiles(3);
    process.kill(enginePid(worker), 'SIGKILL');
    const waiting = await worker.line('engine.not_started', ({ attempt }) => attempt === 3);
    expect(waiting).toMatchObject({
      level: 'WARN',
      reason: 'the process could not be started (EMFILE)',
      retry_after_ms: expect.any(Number),
      human: expect.stringMatching(/^Raise ulimit -n/),
    });
    expect(await ask('GET', '/health')).toMatchObject({ status: 503, text: expect.stringContaining('unhealthy') });
    limitFiles(1024);
    await worker.line('engine.restarted');
    expect(lastOf(await worker.execute(job('after')))).toMatchObject({ type: 'end', tokens_out: 3 });
    expect(worker.lines.filter(({ event }) => event === 'engine.lost')).toHaveLength(1);
    expect(await worker.stop()).toBe(0);
  });

  test('a worker that waits for them stops at once', async () => {
    worker = await startWorker();
    limitFiles(3);
    process.kill(enginePid(worker), 'SIGKILL');
    await worker.line('engine.not_started', ({ attempt }) => attempt === 2);
    expect(await worker.stop()).toBe(0);
  });
});

describe.runIf(hasLimits)('a low limit of open files', () => {
  test('leaves descriptors to the worker, whatever clients open', async () => {
    worker = await startWorker({ launcher: ['prlimit', '--nofile=128:128'] });
    expect(await worker.line('connections.limited')).toMatchObject({
      level: 'WARN',
      connections_limit: 64,
      connections_asked: 1024,
      files_limit: 128,
      files_needed: 1088,
      human: expect.stringMatching(/^Raise ulimit -n/),
    });
    const idle = await Promise.all(Array.from({ length: 150 }, () => open(worker)));
    const ask = clientOf(worker);
    expect((await ask('GET', '/health')).status).toBe(200);
    await eventually(() => expect(filesOf(worker.process.pid)).toBeLessThan(110));
    process.kill(enginePid(worker), 'SIGKILL');
    await worker.line('engine.restarted');
    expect(worker.lines.filter(({ event }) => event === 'engine.not_started')).toEqual([]);
    expect((await ask('POST', '/execute', job('long', LONG_TEXT))).status).toBe(413);
    expect((await ask('POST', '/execute', job('short'))).text).toContain('event: end');
    for (const socket of idle) socket.destroy();
    expect(await worker.stop()).toBe(0);
  });

  test('of 32 is enough to start and to answer', async () => {
    worker = await startWorker({ launcher: ['prlimit', '--nofile=32:32'] });
    expect(await worker.line('connections.limited')).toMatchObject({ connections_limit: 8 });
    expect(await worker.line('watchdog.missing')).toMatchObject({ reason: expect.stringMatching(/^raise ulimit -n/) });
    expect(lastOf(await worker.execute(job('low')))).toMatchObject({ type: 'end' });
    expect(await worker.stop()).toBe(0);
  });

  test('that is high enough is not reported', async () => {
    worker = await startWorker({ launcher: ['prlimit', '--nofile=1088:1088'], early: true });
    expect(worker.lines.filter(({ event }) => event === 'connections.limited')).toEqual([]);
  });
});

test.runIf(canUnmount)('without /proc the worker serves, and the figures from there are absent', async () => {
  worker = await startWorker({ launcher: WITHOUT_PROC });
  const health = await worker.get('/health');
  expect(health.status).toBe(200);
  const body: unknown = await health.json();
  expect(body).toMatchObject({ status: 'healthy', resident: true });
  expect(body).not.toHaveProperty('memory_bytes');
  const metrics = await worker.get('/metrics');
  expect([metrics.status, await metrics.text()]).toEqual([200, expect.stringMatching(/^worker_uptime_seconds \d/m)]);
  expect(textOf(await worker.execute(job('without')))).not.toBe('');
});
