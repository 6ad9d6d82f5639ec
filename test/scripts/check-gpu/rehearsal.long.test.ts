/** `npm run check:gpu`: all parts on the CPU with the tiniest shapes, and a part that gets no time. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const run = promisify(execFile);
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'check-gpu-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the script; returns the page, and the exit code. */
async function check(name: string, ...options: string[]): Promise<{ page: string; code: number }> {
  const out = join(folder, name);
  const models = join(folder, `${name}-models`);
  const args = ['scripts/run.mjs', 'scripts/check-gpu/main.ts', '--rehearse', '--device', 'cpu', '--out', out];
  const code = await run(process.execPath, [...args, '--folder', models, ...options], { cwd: ROOT }).then(
    () => 0,
    (error: { readonly code: number }) => error.code,
  );
  return { page: readFileSync(out, 'utf8'), code };
}

const rowsOf = (page: string, title: string): string[] =>
  (page.split('\n### ').find((section) => section.startsWith(title)) ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2);

describe('a rehearsal on the CPU', { timeout: 600_000 }, () => {
  test('runs all parts, and finds nothing wrong', async () => {
    const { page, code } = await check('all.md', '--minutes', '6');
    expect(code, page).toBe(0);
    expect(page).toContain('All results on cpu are right.');
    expect(page).toContain('12 of 12 pairs of a model and a mode were compared with known ids.');
    const correctness = rowsOf(page, 'Correctness on cpu');
    expect(correctness).toHaveLength(4);
    for (const row of correctness) expect(row).toMatch(/\| (\d) of \1 \| (\d) of \2 \| (\d) of \3 \|$/);
    expect(rowsOf(page, 'SIGKILL on cpu').filter((row) => row.includes('of 3 right'))).toHaveLength(6);
    const speed = rowsOf(page, 'Speed on cpu');
    expect(speed).toHaveLength(9);
    for (const row of speed) expect(row).toMatch(/\| (off|eager|captured)( \| [\d.]+){4} \| – \| [\d.]+ \|$/);
    expect(rowsOf(page, 'Memory on cpu')).toHaveLength(9);
    expect(rowsOf(page, 'Options on cpu')).toHaveLength(3);
    expect(rowsOf(page, 'Goals')).toHaveLength(6);
    expect(page).toContain('### The same shapes by PyTorch');
    // Models that were made stay in a folder that was given.
    expect(readdirSync(join(folder, 'all.md-models'))).toContain('8-B-q4.bin');
  });

  test('that is ended by SIGTERM leaves its tables, and no random models', async () => {
    const [out, temporary] = [join(folder, 'ended.md'), join(folder, 'temporary')];
    mkdirSync(temporary);
    const args = ['scripts/run.mjs', 'scripts/check-gpu/main.ts', '--rehearse', '--device', 'cpu', '--out', out];
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let [text, isSent] = ['', false];
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (isSent || !text.includes('SIGKILL: captured, mid-decode')) return;
      // timeout(1) sends its signal twice.
      isSent = child.kill('SIGTERM');
      child.kill('SIGTERM');
    });
    const [code] = await once(child, 'close');
    expect(code, text).toBe(143);
    const page = readFileSync(out, 'utf8');
    expect(rowsOf(page, 'Correctness on cpu')).toHaveLength(4);
    expect(page).toContain('Cut off by SIGTERM');
    expect(readdirSync(temporary).filter((name) => name.startsWith('check-gpu-'))).toEqual([]);
  });

  test('names each part that gets no time, and does not count it as wrong', async () => {
    const { page, code } = await check('short.md', '--minutes', '0.1', '--no-peer');
    expect(code, page).toBe(0);
    expect(page).toContain('skipped: needs about');
    expect(rowsOf(page, 'Speed on cpu')).toHaveLength(9);
    expect(rowsOf(page, 'Options on cpu')).toHaveLength(3);
    expect(page).toContain('### Result');
  });
});
