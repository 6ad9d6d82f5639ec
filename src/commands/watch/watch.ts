/**
 * `rbees-workerd watch <job>`: shows a job that runs, from its first event on. Only reads: the end of this
 * command stops no job that has another reader.
 */
import { RefusedError } from '../../client/errors.ts';
import type { Run } from '../../client/run.ts';
import { ConfigError } from '../../config/config.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import type { Command } from '../command.ts';
import { jsonLine, jsonText } from '../json-text.ts';
import { Terminal } from '../terminal.ts';
import { clientOf, type WorkerAddress } from '../workers/ask-worker.ts';
import { readWorkerArguments, WORKER_FLAGS_HELP, type WorkerSelection } from '../workers/command-line.ts';
import { workerAddresses } from '../workers/local-workers.ts';
import { jobTable, listJobs } from './job-list.ts';
import { showJob } from './job-view.ts';

const HELP = `rbees-workerd watch [<job id>] [flags]

Shows a job of a worker, from its first event on: the answer on stdout, the
narration on stderr. Without a job id: lists the jobs.

${WORKER_FLAGS_HELP}
                       default: all workers of this user on this machine
  --json               print one event a line; without a job id, one document

Ctrl-C ends the command, and not the job. A job that stops without a reader
(on_disconnect "cancel", the default) goes on while its caller reads it.

Exit codes: 0 the job is complete; 1 the job failed, or there is no such job;
2 wrong command line; 130 Ctrl-C.
`;

const LINE = { command: 'watch', switches: ['json'], most: 1 } as const;
/** As a shell reports a program that SIGINT has ended. */
const INTERRUPTED = 130;

export const watchCommand: Command = { help: () => HELP, run };

async function run(args: readonly string[]): Promise<number> {
  const { selection, positionals, switches } = await readWorkerArguments(args, LINE);
  const [jobId] = positionals;
  const json = switches.has('json');
  return jobId === undefined ? list(selection, json) : watch(jobId, selection, json);
}

async function list(selection: WorkerSelection, json: boolean): Promise<number> {
  const addresses = await workerAddresses(selection);
  const { jobs, problems } = await listJobs(addresses);
  const rows = jobs.map(({ address, job }) => ({ url: address.url, ...job }));
  if (json) await Terminal.stdout().print(jsonText(rows));
  else if (jobs.length > 0) await Terminal.stdout().print(jobTable(jobs));
  const none = addresses.length === 0 ? 'No worker of this user runs on this machine' : 'The workers have no job';
  if (jobs.length === 0 && problems.length === 0 && !json) await Terminal.stderr().print(`${none}.\n`);
  for (const problem of problems) await Terminal.stderr().print(`${problem}\n`);
  return problems.length > 0 ? 1 : 0;
}

async function watch(jobId: string, selection: WorkerSelection, json: boolean): Promise<number> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  try {
    const address = await workerOf(jobId, selection);
    const job = clientOf(address).attach(jobId, { signal: interrupt.signal });
    return await (json ? printEvents(job) : showJob(job));
  } catch (error) {
    if (interrupt.signal.aborted) return INTERRUPTED;
    if (error instanceof ConfigError) throw error;
    const isUnknown = error instanceof RefusedError && error.status === 404;
    await Terminal.stderr().print(`${isUnknown ? `No worker has the job ${jobId}.` : messageOf(error)}\n`);
    return 1;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
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

async function printEvents(job: Run): Promise<number> {
  let isComplete = false;
  for await (const event of job) {
    isComplete = event.type === 'end';
    await Terminal.stdout().print(jsonLine(event));
  }
  return isComplete ? 0 : 1;
}
