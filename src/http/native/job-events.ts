/**
 * GET /jobs/{job_id}/events: adds a subscriber to a job's event log, while the job runs and for
 * `--replay-ttl` after its end.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Violation, WorkerError } from '../../contract/errors.ts';
import type { Job } from '../../jobs/job.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import { SSE_HEADERS } from '../sse.ts';
import { shownText } from '../validate.ts';

/**
 * Replays the events after `Last-Event-ID` or `?after=` (without either, all events), then follows the job
 * live. Answers 204 if the client has received all events of a finished job.
 * @throws WorkerError, from the handler: `INVALID_REQUEST`, `NOT_FOUND`, `GONE`, `TOO_MANY_READERS`
 */
export function eventsHandler(jobs: JobRegistry) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const after = afterOf(request);
    const job = jobs.find((request.params as { job_id: string }).job_id);
    if (job === undefined) throw new WorkerError('NOT_FOUND', 'No job with this job_id is known.');
    if (job === 'gone') throw goneError();
    await job.log.opened;
    if (!job.log.begun) throw goneError();
    if (reply.raw.destroyed) return reply.hijack(); // The client left while the prompt was tokenized.
    const from = after.id + 1;
    if (from < job.log.first) throw goneError(job.log.first);
    if (from >= job.log.next) {
      // The SSE standard: 204 tells a client that has received all events not to reconnect.
      if (job.log.over) return reply.code(204).send();
      if (from > job.log.next) throw beyondLogError(after, job);
    }
    return reply.headers(SSE_HEADERS).send(job.subscribers.join(from, reply.raw));
  };
}

interface After {
  readonly field: 'Last-Event-ID' | 'after';
  /** Id of the last event that the client received; -1 for none. */
  readonly id: number;
}

/** The header has priority over the query: a browser that reconnects adds it to the original address. */
function afterOf({ headers, query }: FastifyRequest): After {
  const header = headers['last-event-id'];
  const field = header === undefined ? 'after' : 'Last-Event-ID';
  const given = header ?? (query as { after?: unknown }).after;
  if (given === undefined) return { field, id: -1 };
  const text = String(given);
  if (/^\d{1,15}$/.test(text)) return { field, id: Number(text) };
  throw invalidError({
    field,
    constraint: 'format',
    message: `${field} must be the id of an event, a whole number from 0 up`,
    value: shownText(text),
  });
}

function beyondLogError({ field, id }: After, { log }: Job): WorkerError {
  const last = log.next - 1;
  const message = `${field} must be the id of an event of this job, at most ${last}, but is ${id}`;
  return invalidError({ field, constraint: 'maximum', message, value: id });
}

const invalidError = (violation: Violation): WorkerError =>
  new WorkerError('INVALID_REQUEST', violation.message, { violations: [violation] });

function goneError(first?: number): WorkerError {
  if (first === undefined) return new WorkerError('GONE');
  const message = `The events of this job before ${first} are no longer available.`;
  return new WorkerError('GONE', message, { details: { first_event_id: first } });
}
