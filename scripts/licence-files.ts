/**
 * Makes docs/licences.md and THIRD_PARTY_NOTICES.txt from the lock file and from the licence texts of the
 * installed packages. The bundles in `dist/` contain code of these packages, so their notices belong into the
 * package of the worker.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALLOWED, ALLOWED_FOR_TOOLS } from './licences.ts';
import { compare, distinct, type LockedPackage, licenceTexts, lockedPackages, ROOT } from './lock-file.ts';

const RULE = `${'-'.repeat(80)}\n`;
const named = ({ name, version }: LockedPackage): string => `${name} ${version}`;

/** docs/licences.md */
export function licencesPage(): string {
  const all = lockedPackages();
  const [production, tools] = [all.filter(({ isDev }) => !isDev), all.filter(({ isDev }) => isDev)];
  const always = distinct(production.filter(({ isOptional }) => !isOptional));
  const optional = distinct(production.filter(({ isOptional }) => isOptional));
  return `# Licences

Written by \`npm run generate\` from \`package-lock.json\`. The worker itself has the licence [MIT](../LICENSE). A test
fails for a package whose licence is not in the list of its table (\`scripts/licences.ts\`).

## Installed with the worker

${always.length} packages on every system. Their texts are in [THIRD_PARTY_NOTICES.txt](../THIRD_PARTY_NOTICES.txt), because the
bundles of the worker contain code of these packages. Allowed:
${listOf(ALLOWED)}.

${table(always)}

${optional.length} packages that npm installs on some systems only, or can do without: the native part of koffi for each
platform, and the progress bar of the hub's client, which the worker does not use.

${table(optional)}

## Tools of a checkout

${distinct(tools).length} packages that build and test the worker. Users of the worker do not get them. Also allowed:
${listOf(ALLOWED_FOR_TOOLS.filter((id) => !ALLOWED.includes(id)))}.

${table(distinct(tools))}

## Not in these tables

- The embedded model was trained for this project and has its licence.
- The file of ONNX Runtime in the package \`onnxruntime-node\` contains code of others. Their notices are in
  \`ThirdPartyNotices.txt\` of the repository of ONNX Runtime.
- \`npm run install:cuda\` downloads libraries of NVIDIA, under NVIDIA's terms.
- The peers of the benches have a lock file of their own (\`bench/peers/\`) and are installed by \`npm run bench\` only.
- Images of containers also contain the system of their base image.
`;
}

const listOf = (ids: readonly string[]): string => ids.map((id) => `\`${id}\``).join(', ');

function table(packages: readonly LockedPackage[]): string {
  const byLicence = new Map<string, string[]>();
  for (const one of packages) {
    const licence = one.licence ?? 'none';
    byLicence.set(licence, [...(byLicence.get(licence) ?? []), named(one)]);
  }
  const rows = [...byLicence].sort(([a], [b]) => compare(a, b));
  const lines = rows.map(([licence, names]) => `| ${licence} | ${names.length} | ${names.join(', ')} |`);
  return ['| licence | packages | names and versions |', '|---|---|---|', ...lines].join('\n');
}

/** THIRD_PARTY_NOTICES.txt: the texts of the packages that npm installs on every system. */
export function notices(): string {
  const packages = distinct(lockedPackages().filter(({ isDev, isOptional }) => !isDev && !isOptional));
  const head = `Notices of third parties
Written by \`npm run generate\`. rbees-workerd contains code of the following packages, or is installed with them.

`;
  return head + packages.map((one) => `${RULE}${named(one)}\nLicence: ${one.licence}\n\n${textOf(one)}\n\n`).join('');
}

function textOf(one: LockedPackage): string {
  const texts = licenceTexts(one);
  if (texts.length > 0) return texts.map((text) => text.replace(/[ \t]+$/gm, '')).join('\n\n');
  const { author, repository } = manifestOf(one);
  const place = typeof repository === 'string' ? repository : repository?.url;
  const holder = typeof author === 'string' ? author : author?.name;
  return `The package has no licence text. Author: ${holder ?? 'not named'}. Source: ${place ?? 'not named'}`;
}

interface Manifest {
  readonly author?: string | { readonly name?: string };
  readonly repository?: string | { readonly url?: string };
}

function manifestOf({ folder }: LockedPackage): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as Manifest;
}
