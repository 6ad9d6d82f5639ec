/**
 * POST /shutdown: stops the worker.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../../contract/errors.ts';
import type { WorkerState } from '../../lifecycle/state.ts';

/** The worker drains. Every further call is answered `DRAINING`. */
export function shutdownHandler(state: WorkerState, timeoutSeconds: number, shutdown: (reason: string) => void) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (state.phase === 'draining') throw new WorkerError('DRAINING');
    shutdown('shutdown_request');
    return reply.code(202).send({ status: 'draining', timeout_seconds: timeoutSeconds });
  };
}
