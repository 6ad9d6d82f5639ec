/**
 * POST /shutdown: stops the worker.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../../contract/errors.ts';
import type { WorkerState } from '../../lifecycle/state.ts';

/**
 * Answers 202 and requests a drain.
 * @throws WorkerError `DRAINING`, from the handler, if the worker is already draining
 */
export function shutdownHandler(state: WorkerState, timeoutSeconds: number, shutdown: (reason: string) => void) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    // Never: a client that repeats the request elsewhere would stop another worker.
    if (state.phase === 'draining') throw new WorkerError('DRAINING', undefined, { retry: 'never' });
    shutdown('shutdown_request');
    return reply.code(202).send({ status: 'draining', timeout_seconds: timeoutSeconds });
  };
}
