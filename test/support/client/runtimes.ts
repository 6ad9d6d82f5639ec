/**
 * Deno and Bun from the npm registry: 194 MB, so only for `npm run test:runtimes`. Their packages for a
 * platform have an executable and no install script.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DENO = '2.9.6';
const BUN = '1.4.5';
const INSTALL_MS = 300_000;
/** The last characters of an error that a sentence repeats. */
const REASON = 300;

const PLATFORM = `${process.platform}-${process.arch}`;
/** Names of the platform in the names of the packages. */
const NAMES: Readonly<Record<string, readonly [deno: string, bun: string]>> = {
  'linux-x64': ['linux-x64-glibc', 'linux-x64'],
  'linux-arm64': ['linux-arm64-glibc', 'linux-aarch64'],
  'darwin-arm64': ['darwin-arm64', 'darwin-aarch64'],
};

export interface Runtimes {
  /** Why the runtimes are absent, as a sentence; undefined if they are here. */
  readonly obstacle: string | undefined;
  readonly deno: string;
  readonly bun: string;
  remove(): void;
}

/** Installs both runtimes into a temporary folder. The caller removes it. */
export function installRuntimes(): Runtimes {
  const folder = mkdtempSync(join(tmpdir(), 'runtimes-'));
  const [deno = '', bun = ''] = NAMES[PLATFORM] ?? [];
  const at = (...path: string[]): string => join(folder, 'node_modules', ...path);
  return {
    obstacle: deno === '' ? `There is no package for ${PLATFORM}.` : obstacleOf(folder, deno, bun),
    deno: at('@deno', deno, 'deno'),
    bun: at('@oven', `bun-${bun}`, 'bin', 'bun'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function obstacleOf(folder: string, deno: string, bun: string): string | undefined {
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const options = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts', '--loglevel=error'];
  const packages = [`@deno/${deno}@${DENO}`, `@oven/bun-${bun}@${BUN}`];
  try {
    execFileSync('npm', ['install', ...options, ...packages], { cwd: folder, stdio: 'pipe', timeout: INSTALL_MS });
    return undefined;
  } catch (error) {
    const reason = String(error instanceof Error ? error.message : error).trim();
    return `Deno and Bun could not be installed from the npm registry: ${reason.slice(-REASON)}`;
  }
}
