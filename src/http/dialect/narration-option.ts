/** The choice of a caller to get the narration of the request in the answer of a dialect. */
import type { FastifyRequest } from 'fastify';

/**
 * True if the request has `X-Narration: on`, or `"narration": true` in its body. Without either, the answer
 * has only what its dialect defines.
 * @param field value of the field `narration`; it has priority over the header
 */
export function wantsNarration({ headers }: Pick<FastifyRequest, 'headers'>, field: boolean | undefined): boolean {
  if (field !== undefined) return field;
  return /^\s*(?:on|true|1)\s*$/i.test(String(headers['x-narration'] ?? ''));
}
