/**
 * Makes the files of a release in build/release/: the npm package of this checkout, its two bills of materials,
 * and SHA256SUMS of all three. Equal sources give equal files.
 *
 *   npm run package
 *
 * `npm pack` alone packs the folder dist/ as it is: `.npmrc` turns scripts off, so that no `prepack` builds it.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bills } from './bills.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RELEASE = join(ROOT, 'build', 'release');

rmSync(RELEASE, { recursive: true, force: true });
mkdirSync(RELEASE, { recursive: true });
execFileSync('npm', ['pack', '--pack-destination', RELEASE, '--loglevel=error'], {
  cwd: ROOT,
  stdio: ['ignore', 'ignore', 'inherit'],
  shell: process.platform === 'win32',
});
const { cycloneDx, spdx } = bills();
writeFileSync(join(RELEASE, 'sbom.cdx.json'), `${JSON.stringify(cycloneDx, undefined, 2)}\n`);
writeFileSync(join(RELEASE, 'sbom.spdx.json'), `${JSON.stringify(spdx, undefined, 2)}\n`);

const digestOf = (file: string): string =>
  createHash('sha256')
    .update(readFileSync(join(RELEASE, file)))
    .digest('hex');
const files = readdirSync(RELEASE).sort();
const sums = files.map((file) => `${digestOf(file)}  ${file}\n`).join('');
writeFileSync(join(RELEASE, 'SHA256SUMS'), sums);
process.stdout.write(sums);
