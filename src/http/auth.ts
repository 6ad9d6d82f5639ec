/**
 * Bearer token authentication, as a hook of Fastify. Knows only the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../contract/errors.ts';
import { requireSingle } from './single-headers.ts';

/**
 * Returns a function that is true for a request with the right token, and for every request if no token is
 * configured. Compares digests, so that response times reveal neither length nor content of the token.
 */
export function tokenCheck(token: string | undefined): (request: FastifyRequest) => boolean {
  if (token === undefined) return () => true;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return ({ headers }) => {
    if (headers.authorization === undefined) return false;
    const given = headers.authorization.replace(/^bearer /i, 'Bearer ');
    return timingSafeEqual(digest(given), expected);
  };
}

/**
 * Returns a hook that requires the token; undefined if no token is configured.
 * @param onRight called for every request with the right token
 * @throws WorkerError `UNAUTHORIZED`, from the hook, or `INVALID_REQUEST` for several `Authorization` headers
 */
export function authenticator(token: string | undefined, onRight: (request: FastifyRequest) => void) {
  if (token === undefined) return undefined;
  const isRight = tokenCheck(token);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    requireSingle('Authorization', request, reply);
    if (!isRight(request)) throw new WorkerError('UNAUTHORIZED');
    onRight(request);
  };
}
