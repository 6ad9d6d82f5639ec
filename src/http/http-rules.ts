/**
 * Requests that Node's parser accepts, and this server cannot serve: other versions of HTTP, more headers
 * than Node keeps, and bodies in a transfer coding that nobody decodes.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../contract/errors.ts';
import { shownText } from './validate.ts';

/**
 * Maximum number of headers. Node would drop the others without a trace, and with them a second `Host` or the
 * token.
 */
export const MAX_HEADERS = 2000;

/**
 * Refuses a request that the server would misread, and ends its connection.
 * @throws WorkerError `INVALID_REQUEST` with the status that HTTP has for the reason
 */
export function requireReadableHttp({ raw, headers }: FastifyRequest, reply: FastifyReply): void {
  if (raw.httpVersionMajor !== 1) refuse(reply, 505, `HTTP must have version 1.1 or 1.0, but is ${raw.httpVersion}.`);
  if (raw.rawHeaders.length > 2 * MAX_HEADERS)
    refuse(reply, 431, `A request must have at most ${MAX_HEADERS} headers.`);
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    refuse(reply, 501, `Transfer-Encoding must be chunked, but is ${JSON.stringify(shownText(coding))}.`);
}

function refuse(reply: FastifyReply, status: number, message: string): never {
  void reply.header('Connection', 'close');
  throw new WorkerError('INVALID_REQUEST', message, { status });
}
