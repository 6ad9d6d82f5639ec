/**
 * Writes the bills of materials of the worker to build/sbom.cdx.json (CycloneDX) and build/sbom.spdx.json (SPDX).
 *
 *   npm run sbom
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bills } from './bills.ts';

const BUILD = new URL('../build/', import.meta.url);

mkdirSync(fileURLToPath(BUILD), { recursive: true });
const { cycloneDx, spdx } = bills();
for (const [file, bill, count] of [
  ['sbom.cdx.json', cycloneDx, cycloneDx.components.length],
  ['sbom.spdx.json', spdx, spdx.packages.length],
] as const) {
  writeFileSync(new URL(file, BUILD), `${JSON.stringify(bill, undefined, 2)}\n`);
  process.stdout.write(`build/${file} (${count} entries)\n`);
}
