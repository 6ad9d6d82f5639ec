/**
 * The bounds of connections: how many there may be, how long a request may take to arrive, how long a peer may be silent; and what is said
 * to a peer that does not speak HTTP.
 */
import type { ServerOptions } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Config } from '../config/config.ts';
import { type ErrorCode, WorkerError } from '../contract/errors.ts';
import { narrate } from '../narration/narrate.ts';
import { correlationIdOf } from './correlation.ts';
import { errorBody } from './native/errors.ts';

/** Bytes of the request line and all headers: Node's own default, said so that nobody's `--max-http-header-size` changes it. */
const HEADER_BYTES = 16 * 1024;
/** What a socket buffers: the memory of a connection that does not read. */
const SOCKET_BYTES = 16 * 1024;
/** How often late requests are looked for. */
const LOOK_MS = 500;
/** A connection may be silent for so long between two requests. */
const BETWEEN_REQUESTS_MS = 72_000;
/** In the middle of one it may be silent for longer than any reader may be slow; a healthy stream speaks every 15 seconds. */
const SILENCE_MS = 60_000;
/** How often at most connections that were one too many are told. */
const TELL_DROPPED_MS = 10_000;

/** Options of the server, for Fastify. */
export function connectionOptions({ arrivalTimeout, slowTimeout }: Config) {
  const http: ServerOptions = {
    maxHeaderSize: HEADER_BYTES,
    highWaterMark: SOCKET_BYTES,
    headersTimeout: Math.ceil((arrivalTimeout * 1000) / 3),
    connectionsCheckingInterval: LOOK_MS,
  };
  return {
    http,
    requestTimeout: arrivalTimeout * 1000,
    keepAliveTimeout: BETWEEN_REQUESTS_MS,
    connectionTimeout: SILENCE_MS + slowTimeout * 1000,
    clientErrorHandler: answerBrokenHttp,
  };
}

/** Beyond `most` connections, new ones are closed at once; how many is told, but not one by one. */
export function limitConnections(server: Server, most: number): void {
  server.maxConnections = most;
  let dropped = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    dropped += 1;
    const now = performance.now();
    if (now - toldAt < TELL_DROPPED_MS) return;
    toldAt = now;
    narrate('connections.refused', { connections: dropped, connections_limit: most });
    dropped = 0;
  });
}

/** What does not arrive as HTTP: status line and code by the parser's own error. */
const BROKEN_HTTP: Readonly<Record<string, { line: string; code: ErrorCode; message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { line: '408 Request Timeout', code: 'TIMEOUT', message: 'the request must arrive sooner' },
  HPE_HEADER_OVERFLOW: {
    line: '431 Request Header Fields Too Large',
    code: 'INVALID_REQUEST',
    message: 'the headers must be shorter',
  },
};
/** How long a peer that was told so may take to close. */
const LAST_READ_MS = 1000;
const MALFORMED = {
  line: '400 Bad Request',
  code: 'INVALID_REQUEST',
  message: 'the request must be well-formed HTTP',
} as const;

/** It gets the error shape too, on the bare socket; in the middle of an answer there is no place for one, and the connection ends. */
function answerBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (socket.writableEnded) return; // told already: what else the peer sends is no news
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
  // Destroyed at once, the connection would be reset and the peer might never read the answer; left alone, it could stay half-open for ever.
  socket.setTimeout(LAST_READ_MS, () => socket.destroy());
  socket.end(`${[...head, `X-Correlation-Id: ${correlationId}`, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`);
}
