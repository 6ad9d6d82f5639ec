/**
 * POST /execute: admits a job and streams its events.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Limits } from '../../contract/execute.ts';
import type { Admission } from '../../jobs/admission.ts';
import { idsOf } from '../correlation.ts';
import { SSE_HEADERS, sseEncoder } from '../sse.ts';
import { executeChecker } from '../validate.ts';
import { orderOf } from './order.ts';

/**
 * The handler of `POST /execute`.
 * @throws WorkerError, from the handler, for every error before the stream begins
 */
export function executeHandler(admission: Admission, limits: Limits) {
  const check = executeChecker(limits);
  check({}); // Compiles the schema, which takes 4 ms, before the first request.
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    admission.requireReady();
    const order = orderOf(check(request.body), request.headers['x-deadline']);
    const encoder = sseEncoder(request.id);
    const subscriber = await admission.admit({ order, ids: idsOf(request), encoder }, reply.raw);
    // The client may have left while the prompt was tokenized; with on_disconnect: continue, the job runs.
    if (subscriber.destroyed) return reply.hijack();
    return reply.headers(SSE_HEADERS).send(subscriber);
  };
}
