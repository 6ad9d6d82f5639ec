/**
 * Where a client resumes a stream: after the event of `Last-Event-ID` or `?after=`, in the run of that id or
 * of `?run_id=`. A resume of another run is refused, so that no client joins the parts of two runs.
 */
import type { FastifyRequest } from 'fastify';
import { type Violation, WorkerError } from '../../contract/errors.ts';
import { eventIdPrefix, isRunId, parseEventId } from '../../contract/event-ids.ts';
import type { Job } from '../../jobs/job.ts';
import { shownText } from '../validate.ts';

/** The last event of a client. */
export interface Resume {
  /** Number of the last event that the client received; -1 for none. */
  readonly number: number;
  /** The runs that the request names: by the event id, by `run_id`, by both or by none. */
  readonly runs: readonly string[];
}

/**
 * Reads the headers and the query of a request. The header has priority over `after`: a browser that
 * reconnects adds it to the original address.
 * @throws WorkerError `INVALID_REQUEST` for a value of another form
 */
export function resumeOf({ headers, query }: FastifyRequest): Resume {
  const { after, run_id: run } = query as { after?: unknown; run_id?: unknown };
  if (run !== undefined && (typeof run !== 'string' || !isRunId(run)))
    throw invalidError('run_id', 'run_id must be the id of a run: 1 to 32 letters and digits', String(run));
  const runs = run === undefined ? [] : [run];
  const header = headers['last-event-id'];
  const given = header ?? after;
  if (given === undefined) return { number: -1, runs };
  const text = String(given);
  const id = parseEventId(text);
  const field = header === undefined ? 'after' : 'Last-Event-ID';
  if (!id) throw invalidError(field, `${field} must be the id of an event: <run>-<n>, or a whole number n`, text);
  return { number: id.number, runs: id.run === undefined ? runs : [...runs, id.run] };
}

/**
 * Checks that a resume belongs to the run of a job, before any event of the job is read.
 * @param reused true if the worker knows an earlier run with this job id
 * @throws WorkerError `OTHER_RUN` if the request names another run, or a number without a run although the
 * worker knows several
 */
export function checkRun({ number, runs }: Resume, { runId }: Job, reused: boolean): void {
  const other = runs.find((run) => run !== runId);
  if (other !== undefined)
    throw otherRun(`The request is for run ${other} of this job, but this worker has run ${runId}.`, runId);
  if (number >= 0 && runs.length === 0 && reused)
    throw new WorkerError(
      'OTHER_RUN',
      `This job_id was used again, so the number ${number} does not tell its run. Send the whole event id, <run>-<n>, or add run_id to the query: the event started, and X-Run-Id of its answer, have it.`,
      { details: { run_id: runId } },
    );
}

/**
 * Checks that a job has the last event of a client.
 * @throws WorkerError `OTHER_RUN` for an event that the run does not have, `GONE` if the events after it were
 * trimmed
 */
export function checkEvent({ number }: Resume, { runId, log }: Job): void {
  if (number >= log.next)
    throw otherRun(`Run ${runId} of this job has no event ${number}; its last event is ${log.next - 1}.`, runId);
  if (number + 1 < log.first) throw goneError(runId, log.first);
}

const otherRun = (fact: string, runId: string): WorkerError =>
  new WorkerError('OTHER_RUN', `${fact} Request the events without an event id to read that run from its start.`, {
    details: { run_id: runId },
  });

/**
 * `first_event_id` is a number, as in version 1. `resume_after` is the value of `after` for the events that
 * remain.
 */
function goneError(runId: string, first: number): WorkerError {
  const message = `The events of this job before ${first} are no longer available.`;
  const details = { first_event_id: first, run_id: runId, resume_after: `${eventIdPrefix(runId)}${first - 1}` };
  return new WorkerError('GONE', message, { details });
}

function invalidError(field: string, message: string, text: string): WorkerError {
  const violation: Violation = { field, constraint: 'format', message, value: shownText(text) };
  return new WorkerError('INVALID_REQUEST', message, { violations: [violation] });
}
