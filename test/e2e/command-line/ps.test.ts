/** `ps`: workers that run, hang, end and refuse, and records that somebody else could have written. */

import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import stringWidth from 'string-width';
import { v4 as uuid } from 'uuid';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WorkerRow } from '../../../src/commands/workers/worker-row.ts';
import { ownLife } from '../../../src/lifecycle/local/process-life.ts';
import { recordName } from '../../../src/lifecycle/local/worker-record.ts';
import { runCli } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { longJob } from '../../support/listener.ts';
import { recordsFolder, recordsIn, startRecorded } from '../../support/recorded-worker.ts';
import { startWorker, TestWorker } from '../../support/worker.ts';

const TOKEN = 'only-for-friends';
let home: string;
let env: Record<string, string>;
const servers: Server[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ps-'));
  env = { TMPDIR: home };
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(home, { recursive: true, force: true });
});

const folderOf = (): string => recordsFolder(home);
const records = (): Promise<string[]> => recordsIn(home);
const start = (id: string, ...args: string[]): Promise<TestWorker> => startRecorded(home, ['--worker-id', id, ...args]);

async function rowsOf(args: readonly string[] = [], more: Record<string, string> = {}): Promise<WorkerRow[]> {
  const { stdout, stderr } = await runCli(['ps', '--json', ...args], { env: { ...env, ...more } });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as WorkerRow[];
}

describe('a worker', () => {
  test('is listed with its facts while it runs, and its record ends with it', async () => {
    const worker = await start('w1', '--slots', '3', '--queue', '7');
    const [row, ...others] = await rowsOf(['--no-rate']);
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      ...{ url: worker.url, status: 'healthy', worker_id: 'w1', pid: worker.process.pid },
      ...{ model: 'haiku', device: 'cpu', slots: { total: 3, busy: 0 }, queue: { length: 0, limit: 7 } },
    });
    expect(row?.tokens_per_sec).toBeUndefined();
    expect(await worker.stop()).toBe(0);
    expect(await records()).toEqual([]);
    const none = await runCli(['ps'], { env });
    expect([none.code, none.stdout]).toEqual([0, '']);
    expect(none.stderr).toContain('rbees-workerd serve');
  });

  test('that decodes shows its tokens per second', async () => {
    const worker = await start('busy');
    let isOver = false;
    const work = (async () => {
      for (let at = 0; !isOver; at++) await worker.execute(longJob(`job-${at}`));
    })();
    const [row] = await rowsOf();
    isOver = true;
    await work;
    expect(row?.tokens_per_sec).toBeGreaterThan(0);
  });

  test('with a token needs it: its known facts are listed without it, and all with it', async () => {
    await start('closed', '--api-token', TOKEN);
    const [without] = await rowsOf();
    expect(without).toMatchObject({ status: 'needs_token', worker_id: 'closed' });
    expect(without?.model).toBeUndefined();
    const table = await runCli(['ps'], { env });
    expect(table.stdout).toMatch(/^closed +\d+ +needs a token +- /m);
    expect(table.stdout).toContain('RBEES_API_TOKEN');
    const [given] = await rowsOf([], { RBEES_API_TOKEN: TOKEN });
    expect(given).toMatchObject({ status: 'healthy', model: 'haiku', tokens_per_sec: 0 });
    for (const name of await records()) expect(await readFile(join(folderOf(), name), 'utf8')).not.toContain(TOKEN);
  });

  test('that hangs is listed as one that does not answer, and delays no other', async () => {
    const [hung] = [await start('hung'), await start('well')];
    hung.process.kill('SIGSTOP');
    const rows = await rowsOf();
    hung.process.kill('SIGCONT');
    expect(rows.map(({ worker_id, status }) => [worker_id, status])).toEqual([
      ['hung', 'no_answer'],
      ['well', 'healthy'],
    ]);
    expect(rows[0]?.pid).toBe(hung.process.pid);
  });

  test('that was killed is not listed, and its record is removed', async () => {
    const worker = await start('killed');
    await worker.kill();
    expect(await records()).toHaveLength(1);
    expect(await rowsOf()).toEqual([]);
    expect(await records()).toEqual([]);
  });

  test('still loads its model: it is listed as starting', async () => {
    const worker = new TestWorker({ args: ['--worker-id', 'early'], env });
    await worker.line('server.bound');
    await eventually(async () => expect(await records()).toHaveLength(1));
    const [row] = await rowsOf(['--no-rate']);
    expect(['starting', 'healthy']).toContain(row?.status);
  });

  test('starts and serves where the folder for temporary files cannot be written', async () => {
    const worker = await startWorker({ env: { TMPDIR: '/proc/none' } });
    expect((await worker.get('/health')).status).toBe(200);
    expect(await worker.stop()).toBe(0);
  });

  test('of --url is listed alone, without a record', async () => {
    const [one, two] = [await start('one'), await startWorker({ args: ['--worker-id', 'two'] })];
    const rows = await rowsOf(['--no-rate', '--url', two.url, '--url', `${one.url}/`]);
    expect(rows.map(({ worker_id }) => worker_id)).toEqual(['two', 'one']);
    const [fromVariable, ...others] = await rowsOf(['--no-rate'], { RBEES_URL: one.url });
    expect([fromVariable?.worker_id, others]).toEqual(['one', []]);
    await two.kill();
    const gone = await runCli(['ps', '--no-rate', '--url', two.url], { env });
    expect(gone.code).toBe(1);
    expect(gone.stdout).toMatch(/no answer/);
  });
});

interface Fake {
  readonly url: string;
  readonly requests: IncomingMessage[];
}

/** Another program, which answers every request with this text. */
async function fake(body: string, status = 200): Promise<Fake> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** A record of the process of this test. */
async function record(url: string, more: object = {}): Promise<string> {
  await mkdir(folderOf(), { recursive: true, mode: 0o700 });
  const instance_id = uuid();
  const pid = process.pid;
  const started_at = new Date().toISOString();
  const fields = { pid, process: await ownLife(), url, worker_id: 'w', instance_id, started_at, version: '1', ...more };
  const name = recordName({ pid, instance_id });
  await writeFile(join(folderOf(), name), JSON.stringify(fields), { mode: 0o600 });
  return instance_id;
}

describe('text of others', () => {
  test('cannot control the terminal or break the table', async () => {
    const evil = '\x1b[2J\x1b]0;owned\x07\u202e\r\n模型👩‍💻\u200b';
    const { url } = await fake(JSON.stringify({ status: 'healthy', worker_id: evil, model: evil, device: evil }));
    const { stdout } = await runCli(['ps', '--no-rate', '--url', url], { env });
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e\u200b]/u);
    const [titles = '', row = ''] = stdout.split('\n');
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stringWidth(row.slice(0, row.indexOf('http')))).toBe(stringWidth(titles.slice(0, titles.indexOf('URL'))));
    const json = await runCli(['ps', '--json', '--no-rate', '--url', url], { env });
    expect(json.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e\u200b]/u);
    expect(JSON.parse(json.stdout)).toMatchObject([{ worker_id: evil, model: evil }]);
  });

  test.each(['not JSON', '[]', '{"status":"fine"}', '"text"'])('is no worker: %s', async (body) => {
    const { url } = await fake(body);
    const [row] = await rowsOf(['--no-rate', '--url', url]);
    expect(row).toMatchObject({ url, status: 'not_a_worker' });
  });
});

describe('a record', () => {
  test('whose address another worker has is not listed', async () => {
    const { url } = await fake(JSON.stringify({ status: 'healthy', worker_id: 'other', instance_id: uuid() }));
    await record(url);
    expect(await rowsOf(['--no-rate'])).toEqual([]);
  });

  test('of another container gets no token; a process of this user does', async () => {
    const [near, far] = [await fake('{}', 401), await fake('{}', 401)];
    const life = await ownLife();
    await record(near.url);
    await record(far.url, { process: life && { ...life, namespace: 'pid:[1]' } });
    await rowsOf(['--no-rate'], { RBEES_API_TOKEN: TOKEN });
    expect(near.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${TOKEN}`]);
    expect(far.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test('in a folder that is open to others is not used, and a sentence says so', async () => {
    await record('http://127.0.0.1:1');
    await chmod(folderOf(), 0o777);
    const { code, stdout, stderr } = await runCli(['ps'], { env });
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toContain('is not a folder of this user alone');
  });
});

test.each([
  [['--url', 'ftp://host'], /--url: "ftp:\/\/host" is not allowed/],
  [['--url', 'http://user:secret@host'], /"http:\/\/.*host" has a user/],
  [['extra'], /"extra" is not expected/],
  [['--jsn'], /Did you mean --json/],
])('a wrong command line is refused: %j', async (args, message) => {
  const { code, stdout, stderr } = await runCli(['ps', ...args], { env });
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(message);
  expect(stderr).not.toContain('secret');
});
