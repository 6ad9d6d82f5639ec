/**
 * `rbees-workerd ask "<prompt>"`: starts a worker process on a free port, sends it one job and shows the
 * stream.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { v7 as uuid } from 'uuid';
import { WorkerClient } from '../../client/client.ts';
import type { Run } from '../../client/run.ts';
import { ConfigError, readSettings, type Settings, workerEnvironment } from '../../config/config.ts';
import { checkAddressSpace } from '../../config/host/address-space.ts';
import { hangupEnvironment } from '../../config/host/hangup.ts';
import { hideSecrets } from '../../config/host/hide-secrets.ts';
import { withReason } from '../../narration/phrases.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { CommandContext } from '../command.ts';
import { Terminal } from '../terminal.ts';
import { reportUnknown } from '../unknown-settings.ts';
import type { TerminalView } from './terminal-view.ts';

/** The fields of a log line of the worker that this command uses. */
interface Line {
  readonly event: string;
  readonly level: string;
  readonly human: string;
  readonly reason?: string;
  readonly url?: string;
}

/**
 * Runs the command. Resolves with the exit code: 0 if the job is complete, otherwise 1.
 * @param args the prompt, then the settings of the worker
 * @throws ConfigError if there is no prompt or a setting is wrong
 */
export async function ask(args: readonly string[], start: CommandContext): Promise<number> {
  const [prompt, ...flags] = args;
  if (prompt === undefined || prompt.startsWith('--'))
    throw new ConfigError('ask needs a prompt: ask "Write a haiku about the sea"');
  checkAddressSpace();
  const settings = readSettings(flags);
  const { apiToken } = settings.config;
  hideSecrets();
  await reportUnknown(settings.unknown);
  const worker = startWorker(start, settings);
  try {
    // Loading the view takes tens of milliseconds (string-width), so the worker starts at the same time.
    const [view, url] = await Promise.all([import('./terminal-view.ts'), readyUrl(worker)]);
    const request = { job_id: `ask-${uuid().slice(-8)}`, prompt };
    return await show(new WorkerClient({ url, apiToken }).execute(request), new view.TerminalView(Terminal.stdout()));
  } catch (error) {
    await Terminal.stderr().print(`${messageOf(error)}\n`);
    return 1;
  } finally {
    await stop(worker);
  }
}

/** The settings go through the environment, so that no token is in the list of processes. */
function startWorker({ cli, survivesHangup }: CommandContext, settings: Settings): ChildProcess {
  const flags = ['--port', '0', '--log-format', 'json', '--log-level', 'info', '--ready-fd', 'none'];
  return spawn(process.execPath, [fileURLToPath(cli), 'serve', ...flags, '--callback-url', 'none'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: hangupEnvironment(survivesHangup, workerEnvironment(settings)),
  });
}

/**
 * The worker's URL, once the worker accepts jobs.
 * @throws Error with the worker's fatal line if the worker ends first
 */
async function readyUrl(worker: ChildProcess): Promise<string> {
  let url = '';
  let failure = 'The worker ended before it was ready.';
  if (!worker.stdout) throw new Error('The worker has no standard output.');
  const lines = createInterface({ input: worker.stdout });
  try {
    for await (const text of lines) {
      const line = JSON.parse(text) as Line;
      if (line.event === 'server.bound') url = line.url ?? '';
      if (line.level === 'FATAL') failure = withReason(line.human, line.reason);
      if (line.event === 'warmup.done') return url;
    }
    throw new Error(failure);
  } finally {
    worker.stdout.resume(); // Discards later lines, so that the pipe never fills up.
  }
}

/** Shows the events as they arrive. Resolves with the exit code. */
async function show(run: Run, view: TerminalView): Promise<number> {
  for await (const data of run) {
    if (data.type === 'narration') view.narration(withReason(data.human, data.reason), data.cute);
    if (data.type === 'token') view.token(data.t);
    if (data.type === 'end') {
      const first = Math.round(data.time_to_first_token_ms);
      view.end(
        `${data.tokens_out} tokens, the first after ${first} ms, seed ${data.seed}, ended by ${data.stop_reason}`,
      );
      return 0;
    }
    if (data.type === 'error') {
      view.end(`${data.code}: ${data.message}${data.retry === 'never' ? '' : ' Try again.'}`);
      return 1;
    }
  }
  view.end('The stream ended without its last event.');
  return 1;
}

async function stop(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const exited = once(worker, 'exit');
  worker.kill('SIGTERM');
  await exited;
}
