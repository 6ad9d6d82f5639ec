/**
 * Headers that a request may have only once. Node uses the first and drops the others, but a proxy in front
 * of the worker may have checked another one.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../contract/errors.ts';

/**
 * Refuses a request with several headers of a name, and ends its connection.
 * @throws WorkerError `INVALID_REQUEST`
 */
export function requireSingle(
  name: 'Authorization' | 'Host' | 'X-Api-Key',
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const count = countOf(name, request);
  if (count <= 1) return;
  refuse(reply, name, 'single', `${name} must be sent once, but the request has ${count} such headers`);
}

/**
 * Refuses a request with several `Host` headers, and one of HTTP/1.1 without any: RFC 9112, section 3.2.
 * @throws WorkerError `INVALID_REQUEST`
 */
export function requireHost(request: FastifyRequest, reply: FastifyReply): void {
  requireSingle('Host', request, reply);
  if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
    refuse(reply, 'Host', 'required', 'Host must be sent with every request of HTTP/1.1');
}

function countOf(name: string, { raw: { rawHeaders } }: FastifyRequest): number {
  const wanted = name.toLowerCase();
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] ?? '';
    if (given.length === name.length && given.toLowerCase() === wanted) count += 1;
  }
  return count;
}

function refuse(reply: FastifyReply, field: string, constraint: string, message: string): never {
  void reply.header('Connection', 'close');
  throw new WorkerError('INVALID_REQUEST', message, { violations: [{ field, constraint, message }] });
}
