/** The programs of README.md and docs/client.md run as they are printed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { makeProject } from '../../support/client/project.ts';
import { track } from '../../support/processes.ts';
import { sharedWorker } from '../../support/shared-worker.ts';

const read = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8');

/** The first program of a document that imports the client. */
function programIn(file: string): string {
  const programs = [...read(file).matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = '']) => code);
  return programs.find((code) => code.includes("from 'rbees-workerd/client'")) ?? '';
}

test.each([
  ['README.md', /\w{3}/],
  ['docs/client.md', /\w{3}[\s\S]*\n\d+ tokens after \d+(?:\.\d+)? ms in the queue\n$/],
])('the program of %s', async (file, expected) => {
  const worker = await sharedWorker();
  const program = programIn(file).replace('http://127.0.0.1:8080', worker.url);
  expect(program).toContain(worker.url);
  const folder = makeProject({ 'package.json': '{"type":"module"}', 'program.js': program });
  const child = track(spawn(process.execPath, ['program.js'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] }));
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  rmSync(folder, { recursive: true });
  expect([code, stderr.includes('Error')]).toEqual([0, false]);
  expect(stdout).toMatch(expected);
});
