/** The npm package: it has the files that users need, with those that they refer to, and nothing else. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Most bytes of the package, packed and unpacked: the embedded model and the contract are half of them. */
const MOST = { size: 7_000_000, unpackedSize: 16_000_000 };
/** Every file is below one of these folders, or is one of these files. */
const CONTENT =
  /^(?:dist|docs|deploy|examples|models\/haiku)\/|^(?:README|CONTRIBUTING|SECURITY|CHANGELOG)\.md$|^(?:LICENSE|THIRD_PARTY_NOTICES\.txt|\.env\.example|package\.json|openapi\.(?:json|yaml)|scripts\/install-cuda\.mjs)$/;

interface Packed {
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

/** The package that npm would make. */
const dryRun = lazily((): Packed => {
  const command = ['pack', '--dry-run', '--ignore-scripts', '--json'];
  const text = execFileSync('npm', command, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [first] = JSON.parse(text) as [Packed];
  return first;
});

/** Paths of the files of the package. */
const packed = (): string[] => dryRun().files.map(({ path }) => path);

/** Calls `make` at the first use only. */
function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

test.skipIf(process.platform === 'win32')('the package has the examples and all files that they refer to', () => {
  const files = packed();
  expect(files).toEqual(expect.arrayContaining(['examples/README.md', 'dist/cli.js']));
  const page = readFileSync(join(ROOT, 'examples', 'README.md'), 'utf8');
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map((match) => join('examples', match[1] ?? ''));
  expect(links.length).toBeGreaterThan(3);
  for (const link of links) expect(files).toContain(link);
  for (const file of links.filter((link) => link.endsWith('.mjs'))) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    const imports = [...text.matchAll(/from '([^']+)'/g)].map((match) => match[1]);
    expect(imports.filter((source) => !source?.startsWith('node:') && source !== 'rbees-workerd/client')).toEqual([]);
    for (const [, path = ''] of text.matchAll(/new URL\('([^']+)', import\.meta\.url\)/g))
      expect(files).toContain(join(dirname(file), path));
  }
  const client = ['client.js', 'client.d.ts', 'browser.js'].map((name) => `dist/client/${name}`);
  expect(files).toEqual(expect.arrayContaining([...client, 'dist/contract/events.d.ts', 'dist/narration/fields.d.ts']));
});

describe.skipIf(process.platform === 'win32')('the package', () => {
  test('has the files of its licence, its notices, its security and its history', () => {
    const files = ['LICENSE', 'THIRD_PARTY_NOTICES.txt', 'SECURITY.md', 'CHANGELOG.md', 'README.md', 'package.json'];
    expect(packed()).toEqual(expect.arrayContaining(files));
  });

  test('has no test, no source, no map, no compiled code of this machine and no file of an operator', () => {
    expect(packed().filter((path) => !CONTENT.test(path))).toEqual([]);
    // rules.test.yml is an example for operators, who change the thresholds of the alerts.
    const foreign =
      /\.map$|\.test\.[cm]?[jt]s$|\.tsx?$(?<!\.d\.ts)|\/bundle\/cache\/|\.built$|\.env$|\.log$|node_modules|recordings/;
    expect(packed().filter((path) => foreign.test(path))).toEqual([]);
  });

  test('is small', () => {
    const { size, unpackedSize } = dryRun();
    expect(size).toBeLessThan(MOST.size);
    expect(unpackedSize).toBeLessThan(MOST.unpackedSize);
  });

  test('runs no script at its installation', () => {
    const { scripts, exports, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(Object.keys(scripts).filter((name) => /^(?:pre|post)?install$|^(?:pre)?prepare$/.test(name))).toEqual([]);
    const targets = [...Object.values(bin), ...Object.values(exports).flatMap((one) => Object.values(one as object))];
    const paths = targets.filter((target) => target.length > 1).map((target) => target.replace('./', ''));
    expect(packed()).toEqual(expect.arrayContaining(paths));
  });

  test('has every file that a page of docs/ and deploy/ refers to, or says that it is in the repository only', () => {
    const files = new Set(packed());
    const folders = new Set([...files].flatMap((path) => parents(path)));
    const pages = [...files].filter((path) => /^(?:docs|deploy|examples)\/.*\.md$/.test(path));
    const links = pages.flatMap((page) => {
      const text = readFileSync(join(ROOT, page), 'utf8');
      return [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map((match) =>
        join(dirname(page), match[1] ?? ''),
      );
    });
    const missing = links.filter((link) => !files.has(link) && !folders.has(link.replace(/\/$/, '')));
    expect(missing.filter((link) => !/^(?:test|tools|bench|scripts|src)\//.test(link))).toEqual([]);
    expect(links.length).toBeGreaterThan(100);
  });
});

/** The folders above a file. */
function parents(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
