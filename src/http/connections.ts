/**
 * The limits of connections: their number, the time for a request to arrive, and the idle time. Also answers
 * malformed HTTP, for which Fastify has no request.
 */
import type { ServerOptions } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Config } from '../config/config.ts';
import { type ErrorCode, WorkerError } from '../contract/errors.ts';
import { narrate } from '../narration/narrate.ts';
import { correlationIdOf } from './correlation.ts';
import { errorBody } from './native/errors.ts';

/**
 * Maximum bytes of the request line and all headers. Node's default, set here so that
 * `--max-http-header-size` cannot change it.
 */
export const HEADER_BYTES = 16 * 1024;
/** Bytes of a socket's buffer: the memory of a connection whose client does not read. */
export const SOCKET_BYTES = 16 * 1024;
/** Interval of the check for requests that have not arrived in time. */
const CHECK_MS = 500;
/** Maximum idle time of a connection between two requests. */
export const KEEP_ALIVE_MS = 72_000;
/**
 * Maximum idle time within a request, in addition to `--slow-timeout`. A healthy stream sends data at least
 * every 15 seconds.
 */
export const IDLE_MS = 60_000;
/** Minimum time between two narrations of refused connections. */
const NARRATE_DROPPED_MS = 10_000;

/** Fastify's options for connections, from `--arrival-timeout` and `--slow-timeout`. */
export function connectionOptions({ arrivalTimeout, slowTimeout }: Config) {
  const http: ServerOptions = {
    maxHeaderSize: HEADER_BYTES,
    highWaterMark: SOCKET_BYTES,
    headersTimeout: Math.ceil((arrivalTimeout * 1000) / 3),
    connectionsCheckingInterval: CHECK_MS,
  };
  return {
    http,
    requestTimeout: arrivalTimeout * 1000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: IDLE_MS + slowTimeout * 1000,
    clientErrorHandler: answerBrokenHttp,
  };
}

/** Closes every connection beyond `max`, and narrates the number of closed ones at most every ten seconds. */
export function limitConnections(server: Server, max: number): void {
  server.maxConnections = max;
  let dropped = 0;
  let narratedAt = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    dropped += 1;
    const now = performance.now();
    if (now - narratedAt < NARRATE_DROPPED_MS) return;
    narratedAt = now;
    narrate('connections.refused', { connections: dropped, connections_limit: max });
    dropped = 0;
  });
}

/** The answer to malformed HTTP, by the error code of Node's parser. */
const BROKEN_HTTP: Readonly<Record<string, { line: string; code: ErrorCode; message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
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
/** Time that a client has to close its connection after the answer to malformed HTTP. */
export const CLOSE_MS = 1000;
/** The answer for all other error codes of the parser. */
const MALFORMED = {
  line: '400 Bad Request',
  code: 'INVALID_REQUEST',
  message: 'the request must be well-formed HTTP',
} as const;

/** Writes a native error to the socket; destroys the socket if an answer has already begun. */
function answerBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
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
  // An immediate destroy would reset the connection, possibly before the client reads the answer. Without a
  // timeout the connection could stay half-open forever.
  socket.setTimeout(CLOSE_MS, () => socket.destroy());
  socket.end(`${[...head, `X-Correlation-Id: ${correlationId}`, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`);
}
