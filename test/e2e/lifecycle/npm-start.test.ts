/**
 * `npm start`, as a pool-manager may spawn it: a signal that ends npm also ends the worker, after its drain.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/**
 * Starts a worker in a process group of its own, stops it when it is warm, and returns the events of all its
 * lines.
 */
async function eventsUntilGone(end: (pid: number) => void): Promise<string[]> {
  const child = spawn(npm, ['start', '--silent', '--', '--port', '0'], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { pid, stdout } = child;
  if (pid === undefined) throw new Error('npm could not be started.');
  let text = '';
  let ended = false;
  for await (const chunk of stdout.setEncoding('utf8')) {
    text += chunk;
    if (ended || !text.includes('"warmup.done"')) continue;
    ended = true;
    end(pid);
  }
  return text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: string }).event);
}

test('a SIGTERM to npm alone drains the worker: no orphan', async () => {
  const events = await eventsUntilGone((pid) => process.kill(pid, 'SIGTERM'));
  expect(events.slice(-2)).toEqual(['worker.draining', 'server.shutdown']);
});

test('a Ctrl-C, which goes to the whole group, is one request to stop and not two', async () => {
  const events = await eventsUntilGone((pid) => process.kill(-pid, 'SIGINT'));
  expect(events.slice(-2)).toEqual(['worker.draining', 'server.shutdown']);
});
