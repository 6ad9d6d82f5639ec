/** The files of the page, as a worker serves them. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PAGE_FILES } from '../../../src/http/operator/page.ts';
import { track } from '../../support/processes.ts';
import { rawOnce, statusesOf } from '../../support/raw.ts';
import { sharedWorker } from '../../support/shared-worker.ts';
import { CLI, startWorker, type TestWorker } from '../../support/worker.ts';

const FOLDER = fileURLToPath(new URL('../../../dist/page/', import.meta.url));
const MOST_BYTES = 150_000;
const TOKEN = 'token-of-the-page';
const PATHS = Object.keys(PAGE_FILES);

describe('the files of the page', () => {
  test('have at most 150 KB together', () => {
    const names = readdirSync(FOLDER);
    expect(names.sort()).toEqual(
      Object.values(PAGE_FILES)
        .map(([name]) => name)
        .sort(),
    );
    expect(names.reduce((sum, name) => sum + statSync(FOLDER + name).size, 0)).toBeLessThanOrEqual(MOST_BYTES);
  });

  test('name no other origin, and have no script or style in the document', () => {
    const texts = readdirSync(FOLDER).map((name) => readFileSync(FOLDER + name, 'utf8'));
    const foreign = texts.flatMap((text) =>
      [...text.matchAll(/(?:https?:)?\/\/[\w.-]+\.[a-z]{2,}/g)].map(([url]) => url),
    );
    // The names of the formats of drawings, which nobody loads.
    expect(new Set(foreign.filter((url) => url !== 'http://www.w3.org'))).toEqual(new Set());
    const html = readFileSync(`${FOLDER}index.html`, 'utf8');
    expect(html).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]*\ssrc=)/);
  });
});

describe('a worker on loopback', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await sharedWorker();
  });

  test.each(PATHS)('serves %s with its type, its policy and its tag', async (path) => {
    const answer = await worker.get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe(PAGE_FILES[path as keyof typeof PAGE_FILES][1]);
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    expect(answer.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin');
    const policy = answer.headers.get('content-security-policy')?.split('; ');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    const tag = answer.headers.get('etag') ?? '';
    const again = await worker.get(path, { 'If-None-Match': tag });
    expect([again.status, await again.text()]).toEqual([304, '']);
    const head = await fetch(worker.url + path, { method: 'HEAD' });
    expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', tag]);
  });

  test('reports the URL of the page when it is ready', async () => {
    const line = await worker.line('page.ready');
    expect(line['url']).toBe(`${worker.url}/`);
    expect(line.human).toBe(`Open ${worker.url}/ in a browser`);
  });

  test('has no other files, and no other method', async () => {
    for (const path of [
      '/page',
      '/page/',
      '/page/page.js.map',
      '/page/..%2f..%2fpackage.json',
      '/page/../package.json',
    ])
      expect([path, (await worker.get(path)).status]).toEqual([path, 404]);
    expect((await worker.post('/', {})).status).toBe(404);
  });

  test('lets a person follow a link of another page, and gives that page nothing else', async () => {
    const cross = ['Host: 127.0.0.1', 'Sec-Fetch-Site: cross-site'];
    const link = [...cross, 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'];
    const frame = [...cross, 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: iframe'];
    const script = [...cross, 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: script'];
    expect(await statusOf('/', link)).toBe(200);
    expect(await statusOf('/', frame)).toBe(403);
    expect(await statusOf('/page/page.js', script)).toBe(403);
    expect(await statusOf('/health', link)).toBe(403);
    // A name that points to this machine.
    expect(await statusOf('/', ['Host: evil.example', ...link.slice(1)])).toBe(403);
  });

  async function statusOf(path: string, headers: readonly string[]): Promise<number | undefined> {
    const head = [`GET ${path} HTTP/1.1`, ...headers, 'Connection: close'].join('\r\n');
    return statusesOf(await rawOnce(worker, `${head}\r\n\r\n`))[0];
  }
});

describe('the setting --page', () => {
  const workers: TestWorker[] = [];
  const start = async (...args: string[]): Promise<TestWorker> => {
    const worker = await startWorker({ args, env: { RBEES_API_TOKEN: TOKEN } });
    workers.push(worker);
    return worker;
  };
  const statuses = async (worker: TestWorker, port = new URL(worker.url).port): Promise<readonly number[]> =>
    Promise.all(PATHS.map(async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).status));
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.kill()));
  });

  test('off: the page does not exist, and no line invites to it', async () => {
    const worker = await start('--page', 'off');
    expect(await statuses(worker)).toEqual(PATHS.map(() => 404));
    expect(worker.lines.map(({ event }) => event)).not.toContain('page.ready');
  });

  test('auto: no page on an address that other machines reach; on: a page, without the token', async () => {
    const [auto, on] = await Promise.all([start('--host', '0.0.0.0'), start('--host', '0.0.0.0', '--page', 'on')]);
    expect(await statuses(auto)).toEqual(PATHS.map(() => 404));
    expect(await statuses(on)).toEqual(PATHS.map(() => 200));
    const port = new URL(on.url).port;
    expect((await on.line('page.ready'))['url']).toBe(`http://localhost:${port}/`);
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(401);
  });
});

/** `script` of util-linux runs a command in a terminal. */
describe.runIf(existsSync('/usr/bin/script'))('a person at a terminal', () => {
  test('gets the address of the page on a line of its own', async () => {
    const command = `${process.execPath} ${CLI} --port 0`;
    const child = track(spawn('script', ['-qfc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] }));
    let shown = '';
    for await (const chunk of child.stdout) {
      shown += chunk;
      if (/^ {2}🐝 Open http:\/\/127\.0\.0\.1:\d+\/ in a browser\. Ctrl-C stops the worker\.\r?$/m.test(shown)) break;
    }
    expect(shown).toContain('🐝 Open http://127.0.0.1:');
    child.kill();
  });
});
