/**
 * A worker and agents in one network namespace that has only the loopback interface: an agent that needs any
 * other server fails.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { track } from '../support/processes.ts';
import { startWorker, type TestWorker } from '../support/worker.ts';

/** Starts a process in a new namespace. The process keeps its id. */
const APART = ['unshare', '-rn', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'];

/** Starts a worker in a new namespace, and waits until it has loaded its model. HTTP from here cannot reach it. */
export async function startApart(args: readonly string[]): Promise<TestWorker> {
  const worker = await startWorker({ args, launcher: APART, early: true });
  await worker.line('warmup.done');
  return worker;
}

export interface AgentRun {
  readonly command: string;
  readonly args: readonly string[];
  /** The working folder, and the environment besides PATH. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs an agent in the namespace of a worker. */
export async function runBeside(
  worker: TestWorker,
  { command, args, cwd, env }: AgentRun,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const enter = ['-t', String(worker.process.pid), '-U', '-n', '--preserve-credentials', command, ...args];
  const agent = spawn('nsenter', enter, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  track(agent);
  const [stdout, stderr, [code]] = await Promise.all([
    buffer(agent.stdout),
    buffer(agent.stderr),
    once(agent, 'close') as Promise<[number | null]>,
  ]);
  return { code, stdout: stdout.toString(), stderr: stderr.toString() };
}
