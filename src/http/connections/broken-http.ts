/**
 * The answer to bytes for which Fastify has no request, and the gentle end of a connection.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { type ErrorCode, WorkerError } from '../../contract/errors.ts';
import { correlationIdOf } from '../correlation.ts';
import { errorBody } from '../native/errors.ts';

/** Time that a client has to read the last answer and to close its connection. */
export const CLOSE_MS = 1000;

/** Node's error code for a request that does not arrive in time. */
export const ARRIVAL_TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';
/** The code of a request with the method CONNECT, which Node does not hand to the routes. */
export const CONNECT_REQUEST = 'CONNECT';

/** An error of Node's HTTP server. */
export interface BrokenHttp {
  readonly code?: string | undefined;
  /** The rule that the bytes break, as a constant text of Node's parser. */
  readonly reason?: string | undefined;
}

interface Row {
  readonly line: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** The answers to bytes without a request, by the error code of Node. */
const BROKEN_HTTP: Readonly<Record<string, Row>> = {
  [ARRIVAL_TIMEOUT]: {
    line: '408 Request Timeout',
    code: 'TIMEOUT',
    message: 'the request must arrive in time',
  },
  [CONNECT_REQUEST]: {
    line: '404 Not Found',
    code: 'NOT_FOUND',
    message: 'the method CONNECT has no route: the worker is not a proxy',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    line: '413 Payload Too Large',
    code: 'PAYLOAD_TOO_LARGE',
    message: 'the extensions of the chunks must be shorter',
  },
  HPE_HEADER_OVERFLOW: {
    line: '431 Request Header Fields Too Large',
    code: 'INVALID_REQUEST',
    message: 'the headers must be shorter',
  },
};
const OTHER_VERSION: Row = {
  line: '505 HTTP Version Not Supported',
  code: 'INVALID_REQUEST',
  message: 'HTTP must have version 1.1 or 1.0',
};
/** The answer for all other error codes of the parser. */
const MALFORMED: Row = {
  line: '400 Bad Request',
  code: 'INVALID_REQUEST',
  message: 'the request must be well-formed HTTP',
};

/** Undefined for the errors that the parser explains in its reason. */
function rowOf({ code = '', reason }: BrokenHttp): Row | undefined {
  // The code alone can also mean a wrong end of the request line.
  const isVersion = code === 'HPE_INVALID_VERSION' && reason === 'Invalid HTTP version';
  return isVersion ? OTHER_VERSION : BROKEN_HTTP[code];
}

/**
 * Writes a native error to the socket, and ends the connection.
 * @param headers the headers of the request, if they were read
 */
export function answerBrokenHttp(error: BrokenHttp, socket: Socket, headers: IncomingHttpHeaders = {}): void {
  if (!socket.writable) return; // Already answered, or the client has left.
  const row = rowOf(error);
  const { line, code, message } = row ?? MALFORMED;
  const detail = row === undefined && error.reason ? `: ${error.reason}` : '';
  const correlationId = correlationIdOf(headers);
  const body = JSON.stringify(errorBody(new WorkerError(code, message + detail), correlationId));
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
 * is a fixed time: bytes that trickle in do not extend it. They are read and dropped, without the parser.
 */
export function endGently(socket: Socket): void {
  if (socket.destroyed) return;
  socket.end();
  dropInput(socket);
  const deadline = setTimeout(() => socket.destroy(), CLOSE_MS).unref();
  socket.once('close', () => clearTimeout(deadline));
}

/** Detaches Node's parser from the socket, and drops everything that arrives. */
function dropInput(socket: Socket): void {
  const drop = (): void => undefined;
  // A listener of another owner makes the parser stop to read the handle of the socket by itself.
  socket.on('data', drop);
  socket.removeAllListeners('data');
  socket.on('data', drop).resume();
}
