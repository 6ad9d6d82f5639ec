/**
 * The bills of materials of the worker, in CycloneDX 1.5 and SPDX 2.3. npm makes them from package-lock.json,
 * for all platforms and without the packages of development. Added here: the name of the package, the embedded
 * model, and a serial number and a time that do not change from run to run.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lockedPackages } from './lock-file.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MODEL = 'models/haiku/onnx/model.onnx';
/** Both documents have this name, whatever the folder of the checkout is called. */
const { name, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  name: string;
  version: string;
};

export interface CycloneDx {
  serialNumber: string;
  readonly metadata: { timestamp: string; readonly component: { name: string } };
  readonly components: {
    type: string;
    'bom-ref': string;
    name: string;
    version?: string;
    purl?: string;
    licenses?: readonly { license?: { id?: string }; expression?: string }[];
    hashes?: readonly { alg: string; content: string }[];
  }[];
  readonly dependencies: { ref: string; dependsOn?: string[] }[];
}

export interface Spdx {
  readonly spdxVersion: string;
  documentNamespace: string;
  readonly creationInfo: { created: string };
  readonly documentDescribes: readonly string[];
  readonly packages: {
    SPDXID: string;
    name: string;
    versionInfo: string;
    licenseDeclared: string;
    checksums?: { algorithm: string; checksumValue: string }[];
    [field: string]: unknown;
  }[];
  readonly relationships: { spdxElementId: string; relatedSpdxElement: string; relationshipType: string }[];
}

/** The two documents. Equal sources give equal documents. */
export function bills(): { readonly cycloneDx: CycloneDx; readonly spdx: Spdx } {
  return { cycloneDx: cycloneDx(), spdx: spdx() };
}

function cycloneDx(): CycloneDx {
  const bill = fromNpm('cyclonedx') as CycloneDx;
  const root = `${name}@${version}`;
  bill.metadata.component.name = name;
  bill.metadata.timestamp = time();
  const model = 'model:haiku';
  bill.components.push({
    type: 'machine-learning-model',
    'bom-ref': model,
    name: 'haiku',
    version,
    licenses: [{ license: { id: 'MIT' } }],
    hashes: [{ alg: 'SHA-256', content: modelDigest() }],
  });
  bill.dependencies.push({ ref: model, dependsOn: [] });
  bill.dependencies.find(({ ref }) => ref === root)?.dependsOn?.push(model);
  bill.serialNumber = `urn:uuid:${uuidOf(JSON.stringify({ ...bill, serialNumber: '' }))}`;
  return bill;
}

function spdx(): Spdx {
  const bill = fromNpm('spdx') as Spdx;
  const [root = ''] = bill.documentDescribes;
  const model = 'SPDXRef-Model-haiku';
  bill.packages.push({
    SPDXID: model,
    name: 'haiku',
    versionInfo: version,
    packageFileName: MODEL,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseDeclared: 'MIT',
    checksums: [{ algorithm: 'SHA256', checksumValue: modelDigest() }],
  });
  bill.relationships.push({ spdxElementId: root, relatedSpdxElement: model, relationshipType: 'CONTAINS' });
  bill.creationInfo.created = time();
  const start = bill.documentNamespace.replace(/-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, '');
  bill.documentNamespace = `${start}-${uuidOf(JSON.stringify({ ...bill, documentNamespace: '' }))}`;
  return bill;
}

/**
 * The bill that npm makes of a lock file without the packages of development. `npm sbom --omit dev` would leave
 * out the packages that a tool needs too: with npm 11.19 ten, among them zod and yaml.
 */
function fromNpm(format: 'cyclonedx' | 'spdx'): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'sbom-'));
  try {
    writeProduction(folder);
    const args = ['sbom', '--package-lock-only', '--sbom-format', format];
    const options = { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 26, shell: process.platform === 'win32' } as const;
    return JSON.parse(execFileSync('npm', args, options));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes package.json and package-lock.json of the worker without packages of development. */
function writeProduction(folder: string): void {
  const json = (file: string) => JSON.parse(readFileSync(join(ROOT, file), 'utf8'));
  const isDev = new Set(lockedPackages(ROOT).flatMap((one) => (one.isDev ? [one.folder] : [])));
  const [manifest, lock] = [json('package.json'), json('package-lock.json')];
  delete manifest.devDependencies;
  delete lock.packages[''].devDependencies;
  for (const path of isDev) delete lock.packages[path];
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
}

/** SOURCE_DATE_EPOCH, or the time of the last commit, or the start of 1970: never the time of the run. */
function time(): string {
  return new Date(1000 * Number(process.env['SOURCE_DATE_EPOCH'] ?? commitSeconds())).toISOString();
}

function commitSeconds(): number {
  try {
    const args = ['log', '-1', '--format=%ct'];
    return Number(execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return 0;
  }
}

const modelDigest = (): string =>
  createHash('sha256')
    .update(readFileSync(join(ROOT, MODEL)))
    .digest('hex');

/** A UUID of version 8 (RFC 9562) from the digest of a text. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}
