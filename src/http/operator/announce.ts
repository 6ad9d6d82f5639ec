/**
 * POST /announce: the worker reports itself to its pool-manager again.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Announced } from '../../contract/callback.ts';
import { WorkerError } from '../../contract/errors.ts';
import type { WorkerState } from '../../lifecycle/state.ts';

/**
 * Answers 202 with the number of the announcement. It begins within about a second, or after the attempt that
 * waits for its answer.
 * @param announce throws WorkerError `NO_CALLBACK` if the worker has no `--callback-url`
 * @throws WorkerError `DRAINING`, from the handler, if the worker stops
 */
export function announceHandler(state: WorkerState, announce: () => Announced) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    // Never: a client that repeats the request elsewhere would announce another worker.
    if (state.phase === 'draining') throw new WorkerError('DRAINING', undefined, { retry: 'never' });
    return reply.code(202).send(announce());
  };
}
