/** The npm package: it has the examples, with the files that they and their page refer to. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Paths of the files that npm would pack. */
function packed(): string[] {
  const command = ['pack', '--dry-run', '--ignore-scripts', '--json'];
  const text = execFileSync('npm', command, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [{ files }] = JSON.parse(text) as [{ files: { path: string }[] }];
  return files.map(({ path }) => path);
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
