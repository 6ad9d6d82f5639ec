/**
 * The answer to bytes for which Fastify has no request, and the gentle end of a connection.
 */
import type { Socket } from 'node:net';
import { type ErrorCode, WorkerError } from '../../contract/errors.ts';
import { correlationIdOf } from '../correlation.ts';
import { errorBody } from '../native/errors.ts';

/** Time that a client has to read the last answer and to close its connection. */
export const CLOSE_MS = 1000;

/** Node's error code for a request that does not arrive in time. */
export const ARRIVAL_TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';

/** The answer to malformed HTTP, by the error code of Node's parser. */
const BROKEN_HTTP: Readonly<Record<string, { line: string; code: ErrorCode; message: string }>> = {
  [ARRIVAL_TIMEOUT]: {
    line: '408 Request Timeout',
    code: 'TIMEOUT',
    message: 'the request must arrive in time',
  },
  HPE_HEADER_OVERFLOW: {
    line: '431 Request Header Fields Too Large',
    code: 'INVALID_REQUEST',
    message: 'the headers must be shorter',
  },
};
/** The answer for all other error codes of the parser. */
const MALFORMED = {
  line: '400 Bad Request',
  code: 'INVALID_REQUEST',
  message: 'the request must be well-formed HTTP',
} as const;

/** Writes a native error to the socket; destroys the socket if an answer has already begun. */
export function answerBrokenHttp(error: { readonly code?: string | undefined }, socket: Socket): void {
  if (socket.writableEnded) return; // Already answered.
  if (!socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const { line, code, message } = BROKEN_HTTP[error.code ?? ''] ?? MALFORMED;
  const correlationId = correlationIdOf({});
  const body = JSON.stringify(errorBody(new WorkerError(code, message), correlationId));
  const head = [
    `HTTP/1.1 ${line}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.write(`${[...head, `X-Correlation-Id: ${correlationId}`, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`);
  endGently(socket);
}

/**
 * Ends the connection after everything written, and destroys it a second later. If the worker destroyed it at
 * once, a client that still sends its body would get a reset, possibly before it reads the answer. The second
 * is a fixed time: bytes that trickle in do not extend it.
 */
export function endGently(socket: Socket): void {
  socket.end();
  const deadline = setTimeout(() => socket.destroy(), CLOSE_MS).unref();
  socket.once('close', () => clearTimeout(deadline));
}
