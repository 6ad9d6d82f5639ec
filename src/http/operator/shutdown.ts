/**
 * POST /shutdown: stops the worker.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../../contract/errors.ts';
import { sendError } from '../native/errors.ts';
import type { Service } from '../service.ts';

/** `POST /shutdown`: the worker drains; a second call is told that it already does. */
export function shutdownHandler({ state, config, shutdown }: Service) {
  return (_request: FastifyRequest, reply: FastifyReply) => {
    if (state.phase === 'draining') return sendError(reply, new WorkerError('DRAINING'));
    shutdown('shutdown_request');
    return reply.code(202).send({ status: 'draining', timeout_seconds: config.shutdownTimeout });
  };
}
