/**
 * One run of the command line to its end, and what can be seen of processes from outside.
 */
import { type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLI, type TestWorker } from './worker.ts';

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `rbees-workerd` with exactly these arguments until it exits by itself. */
export async function runCli(
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<Run> {
  const settings: SpawnOptions = {
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  };
  const child = spawn(process.execPath, [CLI, ...args], settings);
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** The pid of the worker's engine process: its only child. */
export function enginePid(worker: Pick<TestWorker, 'process'>): number {
  const [child] = enginesOf(worker);
  if (child === undefined) throw new Error('The worker has no engine process.');
  return child;
}

/** Waits for an engine process with another pid than `not`. @throws Error when there is none within ten seconds. */
export async function nextEnginePid(worker: TestWorker, not: number): Promise<number> {
  const end = performance.now() + 10_000;
  while (performance.now() < end) {
    const found = enginesOf(worker).find((pid) => pid !== not);
    if (found !== undefined) return found;
    await sleep(10);
  }
  throw new Error('The worker has no new engine process.');
}

/** Living children that run the engine's script: one that was only forked so far blocks its parent when it is stopped. */
function enginesOf(worker: Pick<TestWorker, 'process'>): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    return statOf(pid)?.parent === worker.process.pid && isAlive(pid) && commandOf(pid).includes('engine/process.');
  });
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** Whether a process runs: one that has ended and waits for its parent does not. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

/** Resolves true when the process is gone, false when it still runs after `ms`. */
export async function goneWithin(pid: number, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    if (!isAlive(pid)) return true;
    await sleep(5);
  }
  return !isAlive(pid);
}

/** State and parent from /proc; the command between them may hold spaces and parentheses. */
function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
