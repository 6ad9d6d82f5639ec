/** The bills of materials are valid and complete, and every package has an allowed licence and a digest. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { bills } from '../../scripts/bills.ts';
import { ALLOWED, ALLOWED_FOR_TOOLS, isAllowed } from '../../scripts/licences.ts';
import { type LockedPackage, lockedPackages, ROOT } from '../../scripts/lock-file.ts';

/** A CommonJS module, whose types name its default export twice. */
const formats = addFormats as unknown as (ajv: Ajv) => Ajv;
const packages = lockedPackages();
const production = packages.filter(({ isDev }) => !isDev);
const named = ({ name, version }: LockedPackage): string => `${name}@${version}`;
const names = [...new Set(production.map(named))].sort();

describe('licences', () => {
  test('every package has an allowed one', () => {
    const refused = packages.filter((one) => !isAllowed(one.licence, one.isDev ? ALLOWED_FOR_TOOLS : ALLOWED));
    expect(refused.map((one) => `${named(one)}: ${one.licence}`)).toEqual([]);
    expect(production.length).toBeGreaterThan(80);
  });

  test.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['MIT AND GPL-3.0-only', false],
    ['(MIT AND ISC) OR AGPL-3.0-only', true],
    ['GPL-2.0-only WITH Classpath-exception-2.0', false],
    ['MIT ISC', false],
    ['(MIT', false],
    ['SEE LICENSE IN LICENSE', false],
    ['', false],
    [undefined, false],
  ])('of the expression %s: allowed is %s', (expression, expected) => {
    expect(isAllowed(expression, ALLOWED)).toBe(expected);
  });
});

describe('the lock file', () => {
  test('has a digest of every package, and the address of none', () => {
    expect(packages.filter(({ integrity }) => !integrity?.startsWith('sha512-')).map(named)).toEqual([]);
    expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.toContain('"resolved"');
  });

  test('no package runs a script at its installation, and only two would', () => {
    expect(packages.filter((one) => one.hasInstallScript).map(({ name }) => name)).toEqual([
      'koffi',
      'onnxruntime-node',
    ]);
    expect(readFileSync(join(ROOT, '.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m);
  });

  test('every version in package.json is exact', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const versions = Object.entries({ ...dependencies, ...devDependencies }) as [string, string][];
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});

describe.skipIf(process.platform === 'win32')('the bills of materials', () => {
  const root = `rbees-workerd@${JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version}`;
  const { cycloneDx, spdx } = bills();

  test('list the packages that npm installs with the worker, and the embedded model', () => {
    const listed = cycloneDx.components.map(({ name, version }) => `${name}@${version}`);
    expect(listed.filter((one) => !one.startsWith('haiku@')).sort()).toEqual(names);
    const ofSpdx = spdx.packages.map(({ name, versionInfo }) => `${name}@${versionInfo}`);
    expect(ofSpdx.filter((one) => !/^(?:haiku|rbees-workerd)@/.test(one)).sort()).toEqual(names);
    for (const list of [listed, ofSpdx]) expect(list.filter((one) => one.startsWith('haiku@'))).toHaveLength(1);
  });

  test('have a digest and a licence of each', () => {
    const poor = cycloneDx.components.filter((one) => !one.hashes?.length || !one.licenses?.length);
    expect(poor.map(({ name }) => name)).toEqual([]);
    const spdxPoor = spdx.packages.filter((one) => !/^(?!NOASSERTION)./.test(one.licenseDeclared));
    expect(spdxPoor.map(({ name }) => name)).toEqual([]);
  });

  test('every dependency leads to a component', () => {
    const refs = new Set([root, ...cycloneDx.components.map((one) => one['bom-ref'])]);
    const edges = cycloneDx.dependencies.flatMap(({ ref, dependsOn = [] }) => [ref, ...dependsOn]);
    expect(edges.filter((ref) => !refs.has(ref))).toEqual([]);
    const direct = cycloneDx.dependencies.find(({ ref }) => ref === root)?.dependsOn ?? [];
    expect(direct.map((ref) => ref.replace(/@[^@]+$/, ''))).toEqual(expect.arrayContaining(['zod', 'yaml', 'fastify']));
  });

  test('CycloneDX: valid by its published schema', () => {
    const folder = join(
      createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library/package.json'),
      '..',
      'res',
    );
    const schema = (name: string): object => JSON.parse(readFileSync(join(folder, 'schema', name), 'utf8'));
    const ajv = formats(new Ajv({ strict: false }));
    for (const name of ['iri-reference', 'idn-email']) ajv.addFormat(name, true);
    for (const part of ['spdx.SNAPSHOT.schema.json', 'jsf-0.82.SNAPSHOT.schema.json'])
      ajv.addSchema(schema(part), `http://cyclonedx.org/schema/${part}`);
    const validate = ajv.compile(schema('bom-1.5.SNAPSHOT.schema.json'));
    validate(cycloneDx);
    expect(validate.errors ?? []).toEqual([]);
    expect(validate({ ...cycloneDx, serialNumber: 'urn:uuid:1' })).toBe(false);
  });

  test('SPDX: ids are unique, and every relation leads to one of them', () => {
    const ids = spdx.packages.map(({ SPDXID }) => SPDXID);
    expect(new Set(ids).size).toBe(ids.length);
    const known = new Set(['SPDXRef-DOCUMENT', ...ids]);
    const ends = spdx.relationships.flatMap((one) => [one.spdxElementId, one.relatedSpdxElement]);
    expect(ends.filter((id) => !known.has(id))).toEqual([]);
    expect(spdx.spdxVersion).toBe('SPDX-2.3');
  });

  test('are equal each time', () => {
    expect(bills()).toEqual({ cycloneDx, spdx });
    expect(cycloneDx.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  });
});
