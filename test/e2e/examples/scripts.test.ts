/** The examples that talk to one worker, each in its own runtime if that is installed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { messagesIn } from '../../../src/client/client.ts';
import { FaultyProxy } from '../../support/client/faulty-proxy.ts';
import { track } from '../../support/processes.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import type { TestWorker } from '../../support/worker.ts';

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));
const PROMPT = 'Write a haiku about the sea';

const works = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;
/** The first Python that has a package; Debian installs its packages for its own Python. */
const pythonWith = (name: string): string | undefined =>
  ['python3', '/usr/bin/python3'].find((command) => works(command, '-c', `import ${name}`));
const python = ['python3', '/usr/bin/python3'].find((command) => works(command, '--version'));
const httpx = pythonWith('httpx');
const openai = pythonWith('openai');

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

/** Runs an example to its end. */
async function run(command: string, file: string, ...args: string[]) {
  const env = { PATH: process.env['PATH'] ?? '', PYTHONDONTWRITEBYTECODE: '1' };
  const child = track(spawn(command, [join(EXAMPLES, file), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { stdout, stderr, code: code as number | null };
}

/** Lines that are neither empty nor a comment. */
const codeLines = (file: string): number =>
  readFileSync(join(EXAMPLES, file), 'utf8')
    .split('\n')
    .filter((line) => !/^\s*(?:$|\/\/|\/\*|\*)/.test(line)).length;

test('the examples are as short as they promise', () => {
  expect(codeLines('node.mjs')).toBeLessThanOrEqual(10);
  expect(codeLines('pool-manager.mjs')).toBeLessThanOrEqual(60);
  expect(codeLines('orchestrator.mjs')).toBeLessThanOrEqual(60);
});

test('node.mjs writes the answer to stdout and the story to stderr', async () => {
  const { stdout, stderr, code } = await run(process.execPath, 'node.mjs', PROMPT, worker.url);
  expect(code).toBe(0);
  expect(stdout.length).toBeGreaterThan(10);
  expect(stderr).toMatch(/\d+ tokens, \d+(?:\.\d+)? ms in the queue, ended by \w+\n$/);
  expect(stderr.split('\n').length).toBeGreaterThan(5);
});

test.skipIf(!works('curl', '--version'))('curl.sh reads, resumes and cancels a job', async () => {
  const { stdout, stderr, code } = await run('sh', 'curl.sh', worker.url);
  expect([code, stderr]).toEqual([0, '']);
  const types = messagesIn(stdout).map(({ event }) => event);
  expect(types.filter((type) => type === 'end')).toHaveLength(2);
  expect(types.filter((type) => type === 'started')).toHaveLength(2);
  expect(stdout).toContain('"status":"finished"');
  expect(stdout).toContain('"status":"healthy"');
});

describe.skipIf(httpx === undefined)('python_httpx.py (needs the Debian package python3-httpx)', () => {
  test('prints the answer, also if the connection breaks', async () => {
    const proxy = await FaultyProxy.start(worker.url, { cutAfter: [2500] });
    const { stdout, stderr, code } = await run(httpx ?? '', 'python_httpx.py', PROMPT, proxy.url);
    expect([code, proxy.seen]).toEqual([0, ['POST /execute', 'GET /jobs/…/events']]);
    const [jobId] = /python-[0-9a-f-]+/.exec(proxy.requests[1]?.path ?? '') ?? [''];
    const replayed = await (await worker.get(`/jobs/${jobId}/events`)).text();
    const tokens = messagesIn(replayed).filter(({ event }) => event === 'token');
    expect(stdout).toBe(`${tokens.map(({ data }) => (JSON.parse(data) as { t: string }).t).join('')}\n`);
    expect(stderr.split('\n').length).toBeGreaterThan(5);
    await proxy.close();
  });

  test('ends with the error of the worker', async () => {
    const { stderr, code } = await run(httpx ?? '', 'python_httpx.py', '', worker.url);
    expect([code, stderr]).toEqual([1, expect.stringContaining('prompt')]);
  });
});

test.skipIf(openai === undefined)('python_openai.py prints a chat (needs the Python package openai)', async () => {
  const { stdout, stderr, code } = await run(openai ?? '', 'python_openai.py', PROMPT, worker.url);
  expect(code).toBe(0);
  expect(stdout.trim().length).toBeGreaterThan(10);
  expect(stderr.split('\n').length).toBeGreaterThan(3);
});

test.skipIf(python === undefined)('the examples in Python compile, also without their packages', () => {
  const folder = mkdtempSync(join(tmpdir(), 'python-'));
  for (const file of ['python_httpx.py', 'python_openai.py']) {
    const script = `import py_compile; py_compile.compile('${join(EXAMPLES, file)}', '${join(folder, file)}c', doraise=True)`;
    const { status, stderr } = spawnSync(python ?? '', ['-c', script], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  }
  rmSync(folder, { recursive: true });
});
