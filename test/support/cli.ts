/** Runs the command line to its end, and finds the engine process of a worker. */
import { type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { enginesOf, track } from './processes.ts';
import { CLI, type TestWorker } from './worker.ts';

/** The commands keep conversations here, and not in the folder of the person who runs the tests. */
export const STATE_HOME = join(tmpdir(), `rbees-workerd-test-${process.pid}`);
process.once('exit', () => rmSync(STATE_HOME, { recursive: true, force: true }));

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `rbees-workerd` with exactly these arguments until it exits.
 * @param options.launcher a command that runs the rest of its arguments
 */
export async function runCli(
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
    readonly launcher?: readonly string[];
    /** Standard input, as a pipe. Absent: /dev/null. */
    readonly input?: string | Buffer;
  } = {},
): Promise<Run> {
  const [command = '', ...rest] = [...(options.launcher ?? []), process.execPath, CLI, ...args];
  const settings: SpawnOptions = {
    env: { PATH: process.env['PATH'] ?? '', XDG_STATE_HOME: STATE_HOME, ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  };
  const child = track(spawn(command, rest, settings));
  // A command that does not read its input closes the pipe.
  child.stdin?.on('error', () => undefined).end(options.input);
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

/** The pid of the worker's engine process. @throws Error if there is none. */
export function enginePid(worker: Pick<TestWorker, 'process'>): number {
  const [engine] = enginesOf(worker.process.pid ?? -1);
  if (engine === undefined) throw new Error('The worker has no engine process.');
  return engine;
}

/** Waits for an engine process with another pid than `not`. @throws Error if none starts within a minute. */
export async function nextEnginePid(worker: TestWorker, not: number): Promise<number> {
  const end = performance.now() + 60_000;
  while (performance.now() < end) {
    const found = enginesOf(worker.process.pid ?? -1).find((pid) => pid !== not);
    if (found !== undefined) return found;
    await sleep(10);
  }
  throw new Error('The worker has no new engine process.');
}
