/** `pull` at the rate limit of a hub: it shows the wait that the hub asks for, and a signal ends it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { LARGE, Puller } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';
import { track } from '../../support/processes.ts';
import { CLI } from '../../support/worker.ts';

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/large': { files: LARGE } });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

const limited = (seconds: number) => ({
  status: 429,
  headers: { ratelimit: `"api";r=0;t=${seconds}`, 'ratelimit-policy': '"fixed window";"api";q=500;w=300' },
  body: '',
});

test('waits as long as RateLimit says, without Retry-After', async () => {
  hub.answer(limited(3));
  const began = performance.now();
  const { code, stderr } = await me.pull(['org/large']);
  expect([code, stderr]).toEqual([0, expect.stringMatching(/the list of files: .* answers 429; try 2 of 5 in 3\.0 s/)]);
  expect(performance.now() - began).toBeGreaterThanOrEqual(2990);
});

test('gives up if the wait is longer than five minutes', async () => {
  hub.answer(limited(301));
  expect(await me.pull(['org/large'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/answers 429 and asks for a wait of 301 s: try again later/),
  });
});

/** Starts a pull and resolves when it waits for five minutes. */
async function startWaiting(command: string, args: readonly string[]) {
  hub.answer(limited(299));
  const child = track(
    spawn(command, [...args, CLI, 'pull', 'org/large'], {
      env: { PATH: process.env['PATH'] ?? '', ...me.environment() },
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  let stderr = '';
  for await (const text of child.stderr.setEncoding('utf8')) {
    stderr += text;
    if (stderr.includes('try 2 of 5 in 299.0 s')) break;
  }
  return child;
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the wait at once', async (signal) => {
  const child = await startWaiting(process.execPath, []);
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([null, signal]);
});

const NAMESPACE = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child'];
const hasNamespaces = spawnSync('unshare', [...NAMESPACE, 'true']).status === 0;

test.runIf(hasNamespaces)('SIGTERM ends the wait of process 1 of a container at once', async () => {
  const child = await startWaiting('unshare', [...NAMESPACE, process.execPath]);
  const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  process.kill(Number(first), 'SIGTERM');
  expect(await once(child, 'exit')).toEqual([143, null]);
});
