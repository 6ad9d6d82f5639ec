/** Waits for a child process that has the terminal of this one. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { isatty } from 'node:tty';

/**
 * Passes signals on to the child. Resolves with its exit code; 128 and the number of the signal if a signal
 * has ended it.
 * @throws the error of the start, for example `ENOENT`
 */
export async function childExit(child: ChildProcess): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A terminal sends SIGINT to both processes.
      if (signal !== 'SIGINT' || !isatty(0)) child.kill(signal);
    });
  }
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
