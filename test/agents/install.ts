/** Installs the agents from the npm registry: 778 MB, so only for `npm run test:agents`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PACKAGES = ['@openai/codex@0.171.0', 'opencode-ai@1.18.33'];
const INSTALL_MS = 600_000;
/** The last characters of an error that a sentence repeats. */
const REASON = 300;

export interface Agents {
  /** Why the agents cannot run here, as a sentence; undefined if they can. */
  readonly obstacle: string | undefined;
  /** The path of an installed command, such as `codex`. */
  command(name: string): string;
  remove(): void;
}

/**
 * Installs both agents into a temporary folder. No install script runs but that of opencode, which links its
 * executable for this processor. Takes 20 s and more.
 */
export function installAgents(): Agents {
  const folder = mkdtempSync(join(tmpdir(), 'agents-'));
  return {
    obstacle: namespaceObstacle() ?? installObstacle(folder),
    command: (name) => join(folder, 'node_modules', '.bin', name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The agents run in a network namespace of their own, in which only the worker can be reached. */
function namespaceObstacle(): string | undefined {
  const { status } = spawnSync('unshare', ['-rn', 'sh', '-c', 'ip link set lo up'], { stdio: 'ignore' });
  if (status === 0) return undefined;
  return 'The agents need a network namespace: unshare (util-linux), ip (iproute2) and user namespaces.';
}

function installObstacle(folder: string): string | undefined {
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  try {
    execFileSync('npm', ['install', ...options, ...PACKAGES], { cwd: folder, stdio: 'pipe', timeout: INSTALL_MS });
    const opencode = join(folder, 'node_modules', 'opencode-ai');
    execFileSync(process.execPath, ['postinstall.mjs'], { cwd: opencode, stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const reason = String(error instanceof Error ? error.message : error).trim();
    return `The agents could not be installed from the npm registry: ${reason.slice(-REASON)}`;
  }
}
