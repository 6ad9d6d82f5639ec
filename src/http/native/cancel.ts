/**
 * POST /cancel: stops one job.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../../contract/errors.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import { jobHeaders } from '../sse.ts';
import { checkCancel } from '../validate.ts';

/**
 * The handler of `POST /cancel`. Idempotent. Answers 202 at once; the stream of the job reports the end of
 * the generation.
 * @throws WorkerError, from the handler: `INVALID_REQUEST`, `NOT_FOUND`
 */
export function cancelHandler(jobs: JobRegistry) {
  return (request: FastifyRequest, reply: FastifyReply) => {
    const checked = checkCancel(request.body);
    if (!checked.ok) throw new WorkerError('INVALID_REQUEST', undefined, { violations: checked.violations });
    const { job_id } = checked.value;
    const status = jobs.cancel(job_id);
    const runId = jobs.runOf(job_id);
    if (status === undefined || runId === undefined)
      throw new WorkerError('NOT_FOUND', 'No job with this job_id is known.');
    return reply.code(202).headers(jobHeaders(job_id, runId)).send({ job_id, status });
  };
}
