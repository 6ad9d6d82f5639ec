/**
 * GET /jobs: the running jobs and the finished ones whose events are kept, in numbers and ids. Never shows
 * text of a prompt or an output.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { JobRow, JobsAnswer } from '../../contract/answers.ts';
import { type Violation, WorkerError } from '../../contract/errors.ts';
import { JOB_STATES, type JobState } from '../../contract/job-states.ts';
import type { Job, JobEnd } from '../../jobs/job.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import { shownText } from '../validate.ts';

/** Jobs of one answer: without `?limit=`, and at most. A row has up to 2 KB, so an answer up to 2 MB. */
export const LISTED = { usual: 100, most: 1000 } as const;

interface Wanted {
  readonly limit: number;
  /** Undefined: all states. */
  readonly state: JobState | undefined;
}

/**
 * The handler of `GET /jobs`. Running jobs come first, in the order of acceptance, then the finished ones,
 * the last one first. The totals count all jobs, whatever the query asks for.
 * @throws WorkerError `INVALID_REQUEST`, from the handler
 */
export function jobsHandler(jobs: Pick<JobRegistry, 'finished' | typeof Symbol.iterator>) {
  return ({ query }: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { limit, state } = wantedIn(query as Readonly<Record<string, unknown>>);
    const totals = { waiting: 0, running: 0, stopping: 0, finished: 0 };
    const listed: Job[] = [];
    const list = (job: Job, at: JobState): void => {
      totals[at] += 1;
      if (listed.length < limit && (state === undefined || state === at)) listed.push(job);
    };
    for (const job of jobs) list(job, job.state);
    for (const job of jobs.finished) list(job, 'finished');
    return reply.send({ totals, jobs: listed.map(rowOf) } satisfies JobsAnswer);
  };
}

function rowOf({ context, runId, log, progress, subscribers, state, acceptedAt, acceptedTime }: Job): JobRow {
  const { tokensIn, tokensOut, end } = progress;
  const timeAfter = (ms: number): string => new Date(acceptedTime + ms).toISOString();
  return {
    job_id: context.jobId ?? '',
    run_id: runId,
    correlation_id: context.correlationId,
    state,
    ...(end && endOf(end)),
    ...(tokensIn !== undefined && { tokens_in: tokensIn }),
    tokens_out: tokensOut,
    readers: subscribers.size,
    accepted_at: timeAfter(0),
    ...(end && { finished_at: timeAfter(end.at - acceptedAt) }),
    age_ms: Math.round(performance.now() - acceptedAt),
    first_event_id: log.first,
    next_event_id: log.next,
    log_bytes: log.bytes,
  };
}

const endOf = (end: JobEnd): Pick<JobRow, 'stop_reason' | 'error_code'> =>
  'stopReason' in end ? { stop_reason: end.stopReason } : { error_code: end.errorCode };

/** @throws WorkerError `INVALID_REQUEST` with a violation for each parameter of another form */
function wantedIn({ limit, state }: Readonly<Record<string, unknown>>): Wanted {
  const violations: Violation[] = [];
  const count = typeof limit === 'string' && /^\d{1,4}$/.test(limit) ? Number(limit) : Number.NaN;
  if (limit !== undefined && !(count >= 1 && count <= LISTED.most))
    violations.push(violation('limit', 'range', `a whole number from 1 to ${LISTED.most}`, limit));
  const known = JOB_STATES.find((one) => one === state);
  if (state !== undefined && known === undefined)
    violations.push(violation('state', 'enum', JOB_STATES.join(', ').replace(/, (?=\w+$)/, ' or '), state));
  if (violations.length > 0) throw new WorkerError('INVALID_REQUEST', undefined, { violations });
  return { limit: limit === undefined ? LISTED.usual : count, state: known };
}

function violation(field: string, constraint: string, allowed: string, given: unknown): Violation {
  const value = shownText(String(given));
  return { field, constraint, message: `${field} must be ${allowed}, but is ${JSON.stringify(value)}`, value };
}
