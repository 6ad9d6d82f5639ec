/**
 * The child processes that tests start. None of them outlives its test file, even if a test times out
 * half-way, except the shared worker (shared-worker.ts).
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const running = new Set<ChildProcess>();
/** Those that outlive their test file, but not the test process. */
const kept = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of [...running, ...kept]) killWithEngines(child);
});

/** Registers a child that a test started. */
export function track<C extends ChildProcess>(child: C): C {
  running.add(child);
  child.once('exit', () => {
    running.delete(child);
    kept.delete(child);
  });
  return child;
}

/** Lets a registered child live until the test process ends. */
export function keep(child: ChildProcess): void {
  if (running.delete(child)) kept.add(child);
}

/** Kills all registered children and waits for their ends. Runs after every test file. */
export async function killAll(): Promise<void> {
  await Promise.all([...running].map(kill));
}

/** Kills one child and its engine in any state, and waits for the end of the child. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  killWithEngines(child);
  await exited;
}

/** An engine ends with its worker, except an engine that a test has stopped by SIGSTOP. */
function killWithEngines(child: ChildProcess): void {
  const engines = child.pid === undefined ? [] : enginesOf(child.pid);
  child.kill('SIGKILL');
  for (const engine of engines) signalIfAlive(engine, 'SIGKILL');
}

/** Sends a signal. Ignores a process that has ended meanwhile. */
export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Living children of `parent` that run the engine's script. A child between fork and exec does not count yet.
 */
export function enginesOf(parent: number): number[] {
  if (process.platform !== 'linux') return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    return statOf(pid)?.parent === parent && isAlive(pid) && commandOf(pid).includes('engine/process.');
  });
}

/** The child processes of a process. Linux only. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** True if a process runs. A zombie does not. */
export function isAlive(pid: number): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.state !== 'Z' && stat.state !== 'X';
}

/** Resolves when a process has ended. @throws Error if it still runs after the ceiling of a minute. */
export async function untilGone(pid: number): Promise<void> {
  const end = performance.now() + 60_000;
  while (isAlive(pid)) {
    if (performance.now() > end) throw new Error(`Process ${pid} still runs.`);
    await sleep(5);
  }
}

/** State and parent from /proc. The command between them may contain spaces and parentheses. */
function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
