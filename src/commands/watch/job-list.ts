/** The jobs of workers: the list for a person who looks for one, and the worker that has a job. */
import type { JobRow } from '../../contract/answers.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { type Column, shortTime, textTable } from '../text-table.ts';
import { ANSWER_MS, clientOf, type WorkerAddress } from '../workers/ask-worker.ts';

/** Jobs of one worker: the most that `GET /jobs` lists. */
const MOST = 1000;

/** A job, and its worker. */
export interface FoundJob {
  readonly address: WorkerAddress;
  readonly job: JobRow;
}

export interface JobList {
  readonly jobs: readonly FoundJob[];
  /** A sentence for each worker that did not answer. */
  readonly problems: readonly string[];
}

/**
 * Asks all workers at the same time. Running jobs come first, then finished ones, as each worker lists them.
 */
export async function listJobs(addresses: readonly WorkerAddress[]): Promise<JobList> {
  const problems: string[] = [];
  const lists = await Promise.all(
    addresses.map(async (address) => {
      try {
        const { jobs } = await clientOf(address).jobs({ limit: MOST }, AbortSignal.timeout(ANSWER_MS));
        return jobs.map((job) => ({ address, job }));
      } catch (error) {
        problems.push(`${address.url}: ${messageOf(error)}`);
        return [];
      }
    }),
  );
  const jobs = lists.flat();
  const isOver = ({ job }: FoundJob): boolean => job.state === 'finished';
  return { jobs: [...jobs.filter((one) => !isOver(one)), ...jobs.filter(isOver)], problems };
}

const COLUMNS: readonly Column<FoundJob>[] = [
  { title: 'JOB', cell: ({ job }) => job.job_id, most: 64 },
  { title: 'STATE', cell: ({ job }) => job.state },
  { title: 'TOKENS', cell: ({ job }) => String(job.tokens_out), right: true },
  { title: 'READERS', cell: ({ job }) => String(job.readers), right: true },
  { title: 'AGE', cell: ({ job }) => shortTime(job.age_ms / 1000), right: true },
  { title: 'END', cell: ({ job }) => job.stop_reason ?? job.error_code ?? '' },
  { title: 'WORKER', cell: ({ address }) => address.url, most: 60 },
];

export const jobTable = (jobs: readonly FoundJob[]): string => textTable(COLUMNS, jobs);
