/**
 * GET /jobs/{job_id}/events: another reader of a job's log, while it runs and for a while after its end.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Violation, WorkerError } from '../../contract/errors.ts';
import { SSE_HEADERS } from '../../jobs/event-log.ts';
import type { Job } from '../../jobs/job.ts';
import { narrate, runIn } from '../../narration/narrate.ts';
import type { Service } from '../service.ts';

/** Replays what comes after `Last-Event-ID` (or `?after=`), from the first event on without either, then goes on live. */
export function eventsHandler({ jobs }: Service) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const after = afterOf(request);
    const job = jobs.find((request.params as { job_id: string }).job_id);
    if (job === undefined) throw new WorkerError('NOT_FOUND', 'No job with this job_id was ever here.');
    if (job === 'gone') throw gone();
    await job.log.opened;
    if (!job.log.begun) throw gone();
    if (reply.raw.destroyed) return reply.hijack(); // it left while the prompt was read
    const from = after.id + 1;
    if (from < job.log.first) throw gone(job.log.first);
    if (from >= job.log.next) {
      // By the standard of event streams, 204 is what keeps a reader that has had everything from coming back again and again.
      if (job.log.over) return reply.code(204).send();
      if (from > job.log.next) throw beyond(after, job);
    }
    const reader = job.subscribers.add(from, reply.raw);
    const events_replayed = job.log.next - from;
    runIn(job.context, () => narrate('reader.returned', { events_replayed, readers: job.subscribers.size }));
    return reply.headers(SSE_HEADERS).send(reader);
  };
}

interface After {
  readonly field: 'Last-Event-ID' | 'after';
  /** Id of the last event that the reader has; -1 for none. */
  readonly id: number;
}

/** The header beats the query: it is what a browser that comes back adds to the address it was given. */
function afterOf({ headers, query }: FastifyRequest): After {
  const header = headers['last-event-id'];
  const field = header === undefined ? 'after' : 'Last-Event-ID';
  const given = header ?? (query as { after?: unknown }).after;
  if (given === undefined) return { field, id: -1 };
  const text = String(given);
  if (/^\d{1,15}$/.test(text)) return { field, id: Number(text) };
  throw refused({
    field,
    constraint: 'format',
    message: `${field} must be the id of an event, a whole number from 0 up`,
    value: text.slice(0, 64),
  });
}

function beyond({ field, id }: After, { log }: Job): WorkerError {
  const last = log.next - 1;
  const message = `${field} must be the id of an event of this job, at most ${last}, but is ${id}`;
  return refused({ field, constraint: 'maximum', message, value: id });
}

const refused = (violation: Violation): WorkerError =>
  new WorkerError('INVALID_REQUEST', violation.message, { violations: [violation] });

function gone(first?: number): WorkerError {
  if (first === undefined) return new WorkerError('GONE');
  const message = `The events of this job before ${first} are no longer kept.`;
  return new WorkerError('GONE', message, { details: { first_event_id: first } });
}
