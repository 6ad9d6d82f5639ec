/**
 * Decides from the headers alone if a body is welcome, before a byte of it is read or decoded. A client that
 * expects `100 Continue` gets it, or the error in its place.
 */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { WorkerError } from '../../contract/errors.ts';
import { shownText } from '../validate.ts';
import { CODINGS, codingOf } from './coding.ts';
import { requireJson } from './media-type.ts';
import { tooLargeError } from './read-body.ts';

/** True if the headers announce a body. */
function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** The names in the header `Expect`, in lower case; none for HTTP/1.0, which does not know the header. */
function expectationsOf({ headers, httpVersion }: IncomingMessage): string[] {
  if (headers.expect === undefined || httpVersion === '1.0') return [];
  const names = headers.expect.split(',').map((name) => name.trim().toLowerCase());
  return names.filter((name) => name !== '');
}

/**
 * Refuses an unknown expectation. Prepares the end of the connection for a client that waits for permission:
 * after another answer, nobody knows if its body follows.
 * @throws WorkerError `INVALID_REQUEST` with status 417 (RFC 9110, section 10.1.1)
 */
export function checkExpectation({ raw }: FastifyRequest, reply: FastifyReply): void {
  const names = expectationsOf(raw);
  if (names.length === 0) return;
  if (announcesBody(raw)) void reply.header('Connection', 'close');
  const unknown = names.find((name) => name !== '100-continue');
  if (unknown === undefined) return;
  const shown = shownText(unknown);
  const message = `Expect must be 100-continue, but is ${JSON.stringify(shown)}; remove the header.`;
  throw new WorkerError('INVALID_REQUEST', message, { status: 417, details: { expect: shown } });
}

/**
 * A hook before a body is read, after the token was checked: refuses a body that could not be read, and asks
 * a waiting client for any other one.
 * @throws WorkerError `PAYLOAD_TOO_LARGE` and `UNSUPPORTED_MEDIA_TYPE`
 */
export async function checkBodyHead(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { raw, headers, method } = request;
  if (method !== 'POST' || !announcesBody(raw)) return;
  requireJson(headers['content-type']);
  requireKnownCoding(request, reply);
  const { bodyLimit } = request.routeOptions;
  if (Number(headers['content-length'] ?? 0) > bodyLimit) {
    void reply.header('Connection', 'close');
    throw tooLargeError(bodyLimit);
  }
  if (expectationsOf(raw).length === 0) return;
  void reply.removeHeader('Connection');
  reply.raw.writeContinue();
}

/** @throws WorkerError `UNSUPPORTED_MEDIA_TYPE`, with the known codings in `Accept-Encoding` */
function requireKnownCoding({ headers, routeOptions }: FastifyRequest, reply: FastifyReply): void {
  const given = headers['content-encoding'];
  const coding = codingOf(given);
  const takesBody = routeOptions.config.takesBody === true;
  if (coding === undefined || (coding !== 'unknown' && takesBody)) return;
  const known = [...(takesBody ? CODINGS : []), 'identity'];
  const shown = shownText(given ?? '');
  const message = `Content-Encoding must be one of ${known.join(', ')}, but is ${JSON.stringify(shown)}.`;
  void reply.header('Accept-Encoding', known.join(', '));
  throw new WorkerError('UNSUPPORTED_MEDIA_TYPE', message, { details: { content_encoding: shown } });
}
