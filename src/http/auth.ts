/**
 * Bearer token authentication, as a hook of Fastify. Knows only the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../contract/errors.ts';
import { requireSingle } from './single-headers.ts';

/** True for a request of a caller who may send jobs. */
export type TokenCheck = (request: FastifyRequest) => boolean;

/**
 * Returns a function that is true for a request with the right token, and for every request if no token is
 * configured. Compares digests, so that response times reveal neither length nor content of the token.
 * Remembers its answer, because a digest takes longer than a short answer.
 */
export function tokenCheck(token: string | undefined): TokenCheck {
  if (token === undefined) return () => true;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  const known = new WeakMap<FastifyRequest, boolean>();
  return (request) => {
    const given = tokenText(request);
    if (given === undefined) return false;
    const isRight = known.get(request) ?? timingSafeEqual(digest(given), expected);
    known.set(request, isRight);
    return isRight;
  };
}

/** The token of a request, from `Authorization` or from `x-api-key`, which Anthropic's clients send. */
function tokenText({ headers }: FastifyRequest): string | undefined {
  const { authorization, 'x-api-key': key } = headers;
  if (authorization !== undefined) return authorization.replace(/^bearer /i, 'Bearer ');
  return typeof key === 'string' ? `Bearer ${key}` : undefined;
}

/**
 * Returns a hook that requires the token.
 * @param onRight called for every request with the right token
 * @throws WorkerError `UNAUTHORIZED`, from the hook, or `INVALID_REQUEST` for several `Authorization` headers
 */
export function authenticator(isRight: TokenCheck, onRight: (request: FastifyRequest) => void) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    requireSingle('Authorization', request, reply);
    requireSingle('X-Api-Key', request, reply);
    if (!isRight(request)) throw new WorkerError('UNAUTHORIZED');
    onRight(request);
  };
}
