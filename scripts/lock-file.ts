/** The packages of package-lock.json, with their licences. Reads files of the checkout only. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** File names of licence texts in packages. */
const LICENCE_FILE = /^(?:licen[cs]e|copying)(?:[-.].*)?$/i;

/** One entry of the lock file. */
export interface LockedPackage {
  /** Folder, relative to the root of the checkout. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  /** SPDX expression; undefined if neither the lock file nor `KNOWN_LICENCES` has one. */
  readonly licence: string | undefined;
  /** True if only development needs the package: npm installs it in a checkout, never with the worker. */
  readonly isDev: boolean;
  /** True if npm installs the package on some platforms only, or can do without it. */
  readonly isOptional: boolean;
  /** True if the package asks npm to run a script at its installation. `.npmrc` refuses all of them. */
  readonly hasInstallScript: boolean;
  /** Digest of the tarball that npm compares. */
  readonly integrity: string | undefined;
}

interface LockEntry {
  readonly version: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly integrity?: string;
}

/** Packages without a licence in their package.json. The licence text in the package was read. */
const KNOWN_LICENCES: Readonly<Record<string, string>> = {
  '@llamaindex/core': 'MIT',
  '@llamaindex/env': 'MIT',
  '@llamaindex/openai': 'MIT',
};

/** All packages of a lock file, sorted by name and version. */
export function lockedPackages(root: string = ROOT): readonly LockedPackage[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, LockEntry>>;
  };
  return Object.entries(packages)
    .filter(([folder]) => folder !== '')
    .map(([folder, entry]) => toPackage(folder, entry))
    .sort((a, b) => compare(a.name, b.name) || compare(a.version, b.version) || compare(a.folder, b.folder));
}

function toPackage(folder: string, entry: LockEntry): LockedPackage {
  const name = folder.replace(/^.*node_modules\//, '');
  return {
    folder,
    name,
    version: entry.version,
    licence: entry.license ?? KNOWN_LICENCES[name],
    isDev: entry.dev === true || entry.devOptional === true,
    isOptional: entry.optional === true,
    hasInstallScript: entry.hasInstallScript === true,
    integrity: entry.integrity,
  };
}

/** The licence texts in the folder of an installed package; empty if it has none, or is not installed. */
export function licenceTexts({ folder }: LockedPackage, root: string = ROOT): readonly string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  const names = readdirSync(path).filter((name) => LICENCE_FILE.test(name) || /^notice(?:\.|$)/i.test(name));
  return names.sort().map((name) => readFileSync(join(path, name), 'utf8').replaceAll('\r\n', '\n').trim());
}

/** One of each name and version. */
export function distinct(packages: readonly LockedPackage[]): readonly LockedPackage[] {
  return [...new Map(packages.map((one) => [`${one.name}@${one.version}`, one])).values()];
}

/** Order of code units: equal on every machine, whatever its language. */
export function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
