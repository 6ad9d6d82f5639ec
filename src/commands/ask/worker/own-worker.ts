/** The worker that `ask` starts for itself, on a free port of this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ConnectionError } from '../../../client/errors.ts';
import { type Settings, workerEnvironment } from '../../../config/config.ts';
import { hangupEnvironment } from '../../../config/host/hangup.ts';
import { withReason } from '../../../narration/phrases.ts';
import type { CommandContext } from '../../command.ts';

/** A sentence of the narration. */
export interface Sentence {
  readonly human: string;
  readonly cute?: string | undefined;
  /** True for a warning or an error. */
  readonly isWarning: boolean;
}

/** The fields of a log line of the worker that this command uses. */
interface Line {
  readonly event: string;
  readonly level: string;
  readonly human: string;
  readonly cute?: string;
  readonly reason?: string;
  readonly url?: string;
}

const WARNINGS: ReadonlySet<string> = new Set(['WARN', 'ERROR', 'FATAL']);

export class OwnWorker {
  readonly #child: ChildProcess;
  /** Its URL, once it accepts jobs. Rejects with the worker's fatal line if it ends first. */
  readonly url: Promise<string>;
  readonly #ended = new AbortController();

  /** @param heard called with each sentence until the worker is ready */
  constructor(context: CommandContext, settings: Settings, heard: (sentence: Sentence) => void) {
    this.#child = start(context, settings);
    this.url = readyUrl(this.#child, heard);
    // A caller that has stopped meanwhile no longer waits for it.
    this.url.catch(() => undefined);
    this.#child.once('exit', (code, signal) => {
      const how = signal === null ? `with the exit code ${code}` : `by the signal ${signal}`;
      this.#ended.abort(new ConnectionError(`The worker of this command has ended ${how}.`, undefined, undefined));
    });
  }

  /** Fires when the worker has ended: no new connection can reach it. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Stops the worker. Resolves when it has ended. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends the worker at once. */
  kill(): void {
    void this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}

/**
 * The settings go through the environment, so that no token is in the list of processes. The worker leads a
 * process group of its own: Ctrl-C is for this command, which cancels the job. The worker ends with its
 * standard input.
 */
function start({ cli, survivesHangup }: CommandContext, settings: Settings): ChildProcess {
  const flags = ['--port', '0', '--log-format', 'json', '--log-level', 'info', '--ready-fd', 'none'];
  return spawn(process.execPath, [fileURLToPath(cli), 'serve', ...flags, '--callback-url', 'none'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: hangupEnvironment(survivesHangup, workerEnvironment(settings)),
    detached: true,
  });
}

/** @throws Error with the worker's fatal line if the worker ends first */
async function readyUrl(worker: ChildProcess, heard: (sentence: Sentence) => void): Promise<string> {
  let url = '';
  let failure = 'The worker ended before it was ready.';
  if (!worker.stdout) throw new Error('The worker has no standard output.');
  const lines = createInterface({ input: worker.stdout });
  try {
    for await (const text of lines) {
      const line = JSON.parse(text) as Line;
      const human = withReason(line.human, line.reason);
      if (line.event === 'server.bound') url = line.url ?? '';
      if (line.level === 'FATAL') failure = human;
      else heard({ human, cute: line.cute, isWarning: WARNINGS.has(line.level) });
      if (line.event === 'warmup.done') return url;
    }
    throw new Error(failure);
  } finally {
    worker.stdout.resume(); // Discards later lines, so that the pipe never fills up.
  }
}
