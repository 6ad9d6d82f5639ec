/**
 * The release: two checkouts of equal sources give the same one, byte for byte, and its package installs and
 * runs in an empty folder.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

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

interface Release {
  /** The package. */
  readonly file: string;
  /** The text of SHA256SUMS. */
  readonly sums: string;
  /** Line of the archive and digest of each file of the package, by path. */
  readonly files: ReadonlyMap<string, string>;
}

/** Makes a release of a checkout, which is built if it is not. */
function released(checkout: string, environment: Record<string, string>): Release {
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1000000000', ...environment };
  const sums = execFileSync('npm', ['run', '--silent', 'package'], {
    cwd: checkout,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const file = join(checkout, 'build/release', / {2}(\S+\.tgz)$/m.exec(sums)?.[1] ?? '');
  const contents = mkdtempSync(join(home, 'contents-'));
  execFileSync('tar', ['-xzf', file, '-C', contents]);
  const listing = execFileSync('tar', ['-tvzf', file], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const lines = listing.trim().split('\n');
  const paths = lines.map((line) => line.slice(line.indexOf('package/')));
  const files = paths.map((path, index) => [path, `${lines[index]} ${digestOf(join(contents, path))}`] as const);
  return { file, sums, files: new Map(files) };
}

const digestOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

describe.skipIf(process.platform !== 'linux')('the release', () => {
  let release: Release;
  beforeAll(() => {
    release = released(ROOT, { TZ: 'UTC', LANG: 'C.UTF-8' });
  });

  test('has the package, both bills of materials, and their digests', () => {
    expect(release.sums.split('\n').map((line) => line.replace(/^[0-9a-f]{64} {2}/, ''))).toEqual([
      expect.stringMatching(/^rbees-workerd-.*\.tgz$/),
      'sbom.cdx.json',
      'sbom.spdx.json',
      '',
    ]);
    expect(release.files.size).toBeGreaterThan(700);
  });

  test('is the same in another folder, depth, time, time zone and language', { timeout: 600_000 }, () => {
    const folder = join(home, 'a longer/path to/another-name');
    copyTo(folder, new Date('2031-12-31T23:59:59Z'));
    const other = released(folder, { TZ: 'Asia/Kathmandu', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' });
    // The names of the files that differ say more than two digests.
    expect(other.files).toEqual(release.files);
    expect(other.sums).toBe(release.sums);
  });

  test('its package installs into an empty folder, and runs there', { timeout: 600_000 }, () => {
    const folder = mkdtempSync(join(home, 'installed-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('RBEES_'));
    const env = { ...Object.fromEntries(own), XDG_STATE_HOME: join(folder, 'state') };
    const run = (command: string, ...args: string[]): string =>
      execFileSync(command, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const quick = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    run('npm', 'install', release.file, ...quick);
    expect(run('npx', 'rbees-workerd', '--help')).toContain('Usage: rbees-workerd <command>');
    const answer = run('npx', 'rbees-workerd', 'ask', '--no-save', '--max-tokens', '8', 'The old pond');
    expect(answer.trim()).not.toBe('');
    const client = "import { WorkerClient } from 'rbees-workerd/client'; process.stdout.write(typeof WorkerClient)";
    expect(run(process.execPath, '--input-type=module', '--eval', client)).toBe('function');
  });
});
