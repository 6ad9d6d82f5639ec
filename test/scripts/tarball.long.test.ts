/**
 * Two builds of equal sources give equal releases, byte for byte: in folders of other names and depths, at
 * other times, in another time zone and another language.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Folders of the two copies, and the environment of their builds. */
const COPIES = [
  { folder: 'a', environment: { TZ: 'UTC', LANG: 'C.UTF-8' }, changed: new Date('2001-02-03T04:05:06Z') },
  {
    folder: 'a longer/path to/another-name',
    environment: { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' },
    changed: new Date('2031-12-31T23:59:59Z'),
  },
];

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'tarball-'));
});
afterAll(() => rmSync(home, { recursive: true }));

/** Copies the sources of the checkout, and links its installed packages. */
function copyTo(folder: string, changed: Date): void {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const names = execFileSync('git', list, { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
  for (const name of names.filter((one) => lstatSync(join(ROOT, one), { throwIfNoEntry: false })?.isFile())) {
    const target = join(folder, name);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(ROOT, name), target);
    utimesSync(target, changed, changed);
  }
  // Hard links: a build resolves packages by their real paths, which differ between two checkouts.
  execFileSync('cp', ['-al', join(ROOT, 'node_modules'), join(folder, 'node_modules')]);
}

/** Makes a release of the copy. Returns its digests, and the digest of each file of the package by path. */
function released(folder: string, environment: Record<string, string>): { sums: string; files: Map<string, string> } {
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1000000000', ...environment };
  const sums = execFileSync('npm', ['run', '--silent', 'package'], {
    cwd: folder,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const file = join(folder, 'build/release', / {2}(\S+\.tgz)$/m.exec(sums)?.[1] ?? '');
  const contents = join(folder, 'contents');
  mkdirSync(contents);
  execFileSync('tar', ['-xzf', file, '-C', contents]);
  const listing = execFileSync('tar', ['-tvzf', file], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const lines = listing.trim().split('\n');
  const paths = lines.map((line) => line.slice(line.indexOf('package/')));
  const files = paths.map((path, index) => [path, `${lines[index]} ${digestOf(join(contents, path))}`] as const);
  return { sums, files: new Map(files) };
}

const digestOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

test.skipIf(process.platform !== 'linux')('two checkouts give the same release', { timeout: 600_000 }, () => {
  const [one, other] = COPIES.map(({ folder, environment, changed }) => {
    copyTo(join(home, folder), changed);
    return released(join(home, folder), environment);
  });
  // The names of the files that differ say more than two digests.
  expect(other?.files).toEqual(one?.files);
  expect(other?.sums).toBe(one?.sums);
  expect(one?.sums.split('\n').map((line) => line.replace(/^[0-9a-f]{64} {2}/, ''))).toEqual([
    expect.stringMatching(/^rbees-workerd-.*\.tgz$/),
    'sbom.cdx.json',
    'sbom.spdx.json',
    '',
  ]);
  expect(one?.files.size).toBeGreaterThan(700);
});
