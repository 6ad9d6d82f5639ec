/**
 * Runs a command again in a child process with other options of Node.js, which a running process cannot
 * change.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { hideSecrets } from '../config/host/hide-secrets.ts';
import { childExit } from './child-exit.ts';

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
  return childExit(child);
}
