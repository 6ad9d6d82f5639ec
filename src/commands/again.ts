/**
 * Runs a command again in a child process with other options of Node.js, which a running process cannot
 * change.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { hideSecrets } from '../config/host/hide-secrets.ts';

/** The child process of a command. */
export interface Again {
  /** The script of the command line. */
  readonly cli: URL;
  readonly args: readonly string[];
  /** Options of Node.js, besides those of this process. */
  readonly options: readonly string[];
  /** The complete environment. */
  readonly environment: NodeJS.ProcessEnv;
}

/** Resolves with the exit code of the command; 128 and the number of the signal if a signal has ended it. */
export async function runAgain({ cli, args, options, environment }: Again): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...options, '--', fileURLToPath(cli), ...args], {
    stdio: 'inherit',
    env: environment,
  });
  hideSecrets(); // The child has its own copies, and hides them too.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A terminal sends SIGINT to both processes.
      if (signal !== 'SIGINT' || !isatty(0)) child.kill(signal);
    });
  }
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
