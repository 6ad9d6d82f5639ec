/**
 * Bearer token authentication.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { WorkerError } from '../contract/errors.ts';

/**
 * A hook that requires the token, or undefined if there is none. Compares digests, so that response times
 * reveal neither length nor content of the token.
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
