/**
 * GET /jobs/{job_id}/events: adds a subscriber to a job's event log, while the job runs and for
 * `--replay-ttl` after its end.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../../contract/errors.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import { jobHeaders, SSE_HEADERS } from '../sse.ts';
import { checkEvent, checkRun, resumeOf } from './resume.ts';

/**
 * Replays the events after `Last-Event-ID` or `?after=` (without either, all events), then follows the job
 * live. Answers 204 if the client has received all events of a finished job.
 * @throws WorkerError, from the handler: `INVALID_REQUEST`, `NOT_FOUND`, `GONE`, `OTHER_RUN`,
 * `TOO_MANY_READERS`
 */
export function eventsHandler(jobs: JobRegistry) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const resume = resumeOf(request);
    const { job_id: jobId } = request.params as { job_id: string };
    const job = jobs.find(jobId);
    if (job === undefined) throw new WorkerError('NOT_FOUND', 'No job with this job_id is known.');
    if (job === 'gone') throw new WorkerError('GONE');
    checkRun(resume, job, jobs.isReused(job));
    await job.log.opened;
    if (!job.log.begun) throw new WorkerError('GONE');
    if (reply.raw.destroyed) return reply.hijack(); // The client left while the prompt was tokenized.
    checkEvent(resume, job);
    const from = resume.number + 1;
    void reply.headers(jobHeaders(jobId, job.runId));
    // The SSE standard: 204 tells a client that has received all events not to reconnect.
    if (from === job.log.next && job.log.over) return reply.code(204).send();
    const { contentType } = job.log;
    const headers = contentType === undefined ? SSE_HEADERS : { 'Content-Type': contentType };
    return reply.headers(headers).send(job.subscribers.join(from, reply.raw));
  };
}
