/**
 * Bearer token authentication, as a hook of Fastify. Knows only the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { WorkerError } from '../contract/errors.ts';

/**
 * Returns a hook that requires the token; undefined if no token is configured. Compares digests, so that
 * response times reveal neither length nor content of the token.
 * @throws WorkerError `UNAUTHORIZED`, from the hook
 */
export function authenticator(token: string | undefined) {
  if (token === undefined) return undefined;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return async (request: FastifyRequest): Promise<void> => {
    const given = (request.headers.authorization ?? '').replace(/^bearer /i, 'Bearer ');
    if (!timingSafeEqual(digest(given), expected)) throw new WorkerError('UNAUTHORIZED');
  };
}
