/** Processes of this checkout: processes whose command line names its dist/. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Command lines by pid. Empty on Windows, where no worker runs. */
function commands(): Map<number, string> {
  if (existsSync('/proc/self/cmdline')) return fromProc();
  if (process.platform === 'win32') return new Map();
  const lines = execFileSync('ps', ['-axo', 'pid=,command='], { encoding: 'utf8' }).split('\n');
  return new Map(lines.map((line) => [Number.parseInt(line, 10), line.trim().replace(/^\d+\s+/, '')]));
}

function fromProc(): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      found.set(Number(name), readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim());
    } catch {
      // The process has ended meanwhile.
    }
  }
  return found;
}

/** Living processes that run a file of `root`'s dist/, as `pid command`. */
export function processesOf(root: string): string[] {
  const dist = join(root, 'dist', '/');
  return [...commands()].filter(([, command]) => command.includes(dist)).map(([pid, command]) => `${pid} ${command}`);
}

/** The processes that are not in `before`. Waits up to ten seconds for processes that are about to end. */
export async function leftBehind(root: string, before: readonly string[]): Promise<string[]> {
  const remaining = (): string[] => processesOf(root).filter((one) => !before.includes(one));
  for (let tries = 0; tries < 50 && remaining().length > 0; tries += 1) await sleep(200);
  return remaining();
}
