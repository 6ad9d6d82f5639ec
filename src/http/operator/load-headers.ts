/**
 * The load of the worker in the headers of every answer, so that a router gets a fresh sample with each of
 * its requests.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Load } from '../../jobs/capacity/capacity.ts';
import type { TokenCheck } from '../auth.ts';

/** Names of the headers, in the order of `loadHeaders`. */
export const LOAD_HEADERS = ['X-Worker-Slots-Free', 'X-Worker-Queue', 'X-Worker-Expected-Wait-Ms'] as const;

const [SLOTS_FREE, QUEUE, EXPECTED_WAIT] = LOAD_HEADERS;

/**
 * Returns a hook that sets the headers just before an answer is sent: the answer to an accepted job counts
 * this job. The load tells about the work of others, so it is only for callers that may send jobs. An answer
 * that refuses its caller (401, 403) has no load headers, and with `--api-token` no answer to a request
 * without the token.
 */
export function loadHeaders(load: () => Load, isTrusted: TokenCheck) {
  return (request: FastifyRequest, reply: FastifyReply, _payload: unknown, done: () => void): void => {
    const { statusCode } = reply;
    if (statusCode !== 401 && statusCode !== 403 && isTrusted(request)) {
      const { slotsFree, queued, expectedWaitMs } = load();
      reply.header(SLOTS_FREE, slotsFree).header(QUEUE, queued);
      if (expectedWaitMs !== undefined) reply.header(EXPECTED_WAIT, expectedWaitMs);
    }
    done();
  };
}
