/** A project that has the package installed, as a link to this checkout, and runs the scenario of the client. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { track } from '../processes.ts';
import type { Scene } from './scene.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Makes a project in a folder of its own. The caller removes it. */
export function makeProject(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'client-user-')));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules', 'rbees-workerd'), 'junction');
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

/**
 * Runs the scenario in another runtime.
 * @param command the runtime and its arguments, without the script
 * @throws Error with the output of the script if it fails
 */
export async function runScenario(command: readonly string[], { urls }: Scene): Promise<unknown> {
  const folder = makeProject({
    'package.json': '{"type":"module","dependencies":{"rbees-workerd":"*"}}',
  });
  copyFileSync(fileURLToPath(new URL('scenario.mjs', import.meta.url)), join(folder, 'scenario.mjs'));
  const [runtime = '', ...args] = [...command, 'scenario.mjs', JSON.stringify(urls)];
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, NO_COLOR: '1' };
  const child = track(spawn(runtime, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  rmSync(folder, { recursive: true });
  if (code !== 0) throw new Error(`${runtime} ended with ${code}: ${errors}${output}`);
  return JSON.parse(output) as unknown;
}
