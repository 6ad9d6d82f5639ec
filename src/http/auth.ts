/**
 * Bearer token authentication, as a hook of Fastify. Knows only the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../contract/errors.ts';
import { requireSingle } from './single-headers.ts';

/**
 * Returns a hook that requires the token; undefined if no token is configured. Compares digests, so that
 * response times reveal neither length nor content of the token.
 * @param onRight called for every request with the right token
 * @throws WorkerError `UNAUTHORIZED`, from the hook, or `INVALID_REQUEST` for several `Authorization` headers
 */
export function authenticator(token: string | undefined, onRight: (request: FastifyRequest) => void) {
  if (token === undefined) return undefined;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    requireSingle('Authorization', request, reply);
    const given = (request.headers.authorization ?? '').replace(/^bearer /i, 'Bearer ');
    if (!timingSafeEqual(digest(given), expected)) throw new WorkerError('UNAUTHORIZED');
    onRight(request);
  };
}
