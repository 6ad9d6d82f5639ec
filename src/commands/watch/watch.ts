/**
 * `rbees-workerd watch <job>`: shows a job that runs, from its first event on. Only reads: the end of this
 * command stops no job that has another reader.
 */
import { RefusedError } from '../../client/errors.ts';
import { ConfigError } from '../../config/config.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { Interrupted, Interrupts } from '../ask/interrupts.ts';
import { openView, type Streams } from '../ask/view/open-view.ts';
import type { Command, CommandContext } from '../command.ts';
import { jsonText } from '../json-text.ts';
import { Terminal } from '../terminal.ts';
import { clientOf, type WorkerAddress } from '../workers/ask-worker.ts';
import { readWorkerArguments, type WorkerSelection, workerFlagsHelp } from '../workers/command-line.ts';
import { workerAddresses } from '../workers/local-workers.ts';
import { jobTable, listJobs } from './job-list.ts';

const HELP = `rbees-workerd watch [<job id>] [flags]

Shows a job of a worker, from its first event on: the answer on stdout, the
narration on stderr. Without a job id: lists the jobs.

${workerFlagsHelp('default: all workers of this user on this machine')}
  --json               print one event a line; without a job id, one document

Ctrl-C ends the command; the job goes on while its caller reads it. A job with
on_disconnect "cancel" (the default) stops with its last reader.

Exit codes: 0 the job is complete; 1 the job failed, or there is no such job;
2 wrong command line; 130 Ctrl-C.
`;

const LINE = { command: 'watch', switches: ['json'], most: 1 } as const;

export const watchCommand: Command = { help: () => HELP, run };

async function run(args: readonly string[], { survivesHangup }: CommandContext): Promise<number> {
  const { selection, positionals, switches } = readWorkerArguments(args, LINE);
  const [jobId] = positionals;
  const isJson = switches.has('json');
  return jobId === undefined ? list(selection, isJson) : watch(jobId, selection, { isJson, survivesHangup });
}

interface Watching {
  readonly isJson: boolean;
  readonly survivesHangup: boolean;
}

async function list(selection: WorkerSelection, json: boolean): Promise<number> {
  const addresses = await workerAddresses(selection);
  const { jobs, problems } = await listJobs(addresses);
  const rows = jobs.map(({ address, job }) => ({ url: address.url, ...job }));
  if (json) await Terminal.stdout().print(jsonText(rows));
  else if (jobs.length > 0) await Terminal.stdout().print(jobTable(jobs));
  const none = addresses.length === 0 ? 'No worker of this user runs on this machine' : 'The workers have no jobs';
  if (jobs.length === 0 && problems.length === 0 && !json) await Terminal.stderr().print(`${none}.\n`);
  for (const problem of problems) await Terminal.stderr().print(`${problem}\n`);
  return problems.length > 0 ? 1 : 0;
}

async function watch(jobId: string, selection: WorkerSelection, { isJson, survivesHangup }: Watching): Promise<number> {
  const streams = { out: Terminal.stdout(), err: Terminal.stderr() };
  const interrupts = new Interrupts(streams.out, survivesHangup);
  const signal = interrupts.begin();
  const shown = show(jobId, selection, { streams, signal, isJson }).catch(async (error: unknown) => {
    if (signal.reason instanceof Interrupted) return signal.reason.code;
    if (error instanceof ConfigError) throw error;
    const isUnknown = error instanceof RefusedError && error.status === 404;
    await streams.err.print(`${isUnknown ? `No worker has the job ${jobId}.` : messageOf(error)}\n`);
    return 1;
  });
  const written = shown.then(async (code) => {
    const reason = await interrupts.unwritten();
    if (reason === undefined) return code;
    await streams.err.print(`${reason}\n`);
    return 1;
  });
  return Promise.race([written, interrupts.forced]);
}

interface Showing {
  readonly streams: Streams;
  /** Ends the command, and not the job. */
  readonly signal: AbortSignal;
  readonly isJson: boolean;
}

async function show(jobId: string, selection: WorkerSelection, { streams, signal, isJson }: Showing): Promise<number> {
  const address = await workerOf(jobId, selection);
  const view = await openView(streams, { isJson, narration: 'live' });
  let failure = 'The stream ended without its last event.';
  let isComplete = false;
  try {
    for await (const event of clientOf(address).attach(jobId, { signal })) {
      view.show(event);
      isComplete = event.type === 'end';
      if (event.type === 'error') failure = `${event.code}: ${event.message}`;
    }
  } finally {
    view.end();
  }
  if (!isComplete) await streams.err.print(`${failure}\n`);
  return isComplete ? 0 : 1;
}

/** @throws Error if no worker has the job; ConfigError if several have one of this id */
async function workerOf(jobId: string, selection: WorkerSelection): Promise<WorkerAddress> {
  const addresses = await workerAddresses(selection);
  const [only, ...more] = addresses;
  if (only && more.length === 0) return only;
  const { jobs, problems } = await listJobs(addresses);
  const [found, ...others] = jobs.filter(({ job }) => job.job_id === jobId);
  if (found && others.length === 0) return found.address;
  if (found) {
    const urls = [found, ...others].map(({ address }) => `  --url ${address.url}`);
    throw new ConfigError(`Several workers have the job ${jobId}. Choose one:\n${urls.join('\n')}`);
  }
  throw new Error([`No worker has the job ${jobId}.`, ...problems].join('\n'));
}
