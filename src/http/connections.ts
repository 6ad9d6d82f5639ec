/**
 * The connections of the server: their number, their times, which connection loses its place for a new one,
 * and the turns of pipelined requests. With a token, a connection counts as untrusted until it brings the
 * token.
 */
import {
  createServer,
  type IncomingMessage as Request,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/config.ts';
import { WorkerError } from '../contract/errors.ts';
import { boundedRequests } from './connections/bounded-request.ts';
import { type BrokenHttp, CONNECT_REQUEST } from './connections/broken-http.ts';
import { Connection } from './connections/connection.ts';
import { lastAnswers } from './connections/end/last-answer.ts';
import { ServerEnd } from './connections/end/server-end.ts';
import { checkWhileConnected } from './connections/idle-checks.ts';
import type { WaitingCount } from './connections/pipeline.ts';
import { Places } from './connections/places.ts';
import type { Refusals } from './connections/refusals.ts';
import { MAX_HEADERS } from './http-rules.ts';

/**
 * Maximum bytes of the request line and all headers. Node's default, set here so that
 * `--max-http-header-size` cannot change it.
 */
export const HEADER_BYTES = 16 * 1024;
/** Bytes of a socket's buffer: the memory of a connection whose client does not read. */
export const SOCKET_BYTES = 16 * 1024;
/** Interval of the checks for requests that have not arrived in time, and for untrusted connections. */
const CHECK_MS = 500;
/** Maximum idle time of a trusted connection between two requests. */
export const KEEP_ALIVE_MS = 72_000;
/**
 * Maximum idle time within a request, in addition to `--slow-timeout`. A healthy stream sends data at least
 * once in `--sse-heartbeat`: twice that time, if it is longer.
 */
export const IDLE_MS = 60_000;
/**
 * Maximum time of a connection that never brought a right token: from its begin, or from its last answer, to
 * the headers of a request with the token.
 */
export const UNTRUSTED_MS = 5000;
/** The seconds that the worker announces to such a connection. A check may close it up to 0.5 s early. */
const UNTRUSTED_KEEP_ALIVE = `timeout=${Math.floor((UNTRUSTED_MS - CHECK_MS) / 1000)}`;
/**
 * Places above `--max-connections` for probes while every connection is busy. They serve the open routes
 * only, one request each.
 */
export const PROBE_PLACES = 8;
/** Time after which a caller without a place is asked to try again. */
const RETRY_MS = 1000;

type TimeSettings = Pick<Config, 'arrivalTimeout' | 'slowTimeout' | 'sseHeartbeat'>;

/** The limits of connections as options of Fastify and Node, from the time settings. */
export function connectionOptions({ arrivalTimeout, slowTimeout, sseHeartbeat }: TimeSettings) {
  const http: ServerOptions = {
    maxHeaderSize: HEADER_BYTES,
    highWaterMark: SOCKET_BYTES,
    headersTimeout: Math.ceil((arrivalTimeout * 1000) / 3),
    connectionsCheckingInterval: CHECK_MS,
    // Node would answer such a request past the pipeline; `requireHost` refuses it.
    requireHostHeader: false,
  };
  return {
    http,
    requestTimeout: arrivalTimeout * 1000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: Math.max(IDLE_MS, 2 * sseHeartbeat * 1000) + slowTimeout * 1000,
  };
}

type Settings = TimeSettings & Pick<Config, 'maxConnections' | 'apiToken' | 'shutdownTimeout'>;

export class Connections {
  readonly #config: Settings;
  readonly #refusals: Refusals;
  readonly #places: Places<Connection>;
  readonly #probes = new Places<Connection>(PROBE_PLACES);
  readonly #open = new WeakMap<Socket, Connection>();
  readonly #waiting: WaitingCount = { requests: 0 };
  readonly #isDraining: () => boolean;
  /** The end of the server: call `stopListening` first. */
  readonly end: ServerEnd;

  /** @param isDraining true when each answer must end its connection */
  constructor(config: Settings, refusals: Refusals, isDraining: () => boolean) {
    this.#config = config;
    this.#refusals = refusals;
    this.#isDraining = isDraining;
    this.end = new ServerEnd(config.shutdownTimeout);
    this.#places = new Places(config.maxConnections);
  }

  /** The HTTP server of `handle` with all limits of connections, for Fastify's option `serverFactory`. */
  createServer(handle: RequestListener): Server {
    const { http, requestTimeout, keepAliveTimeout, connectionTimeout } = connectionOptions(this.#config);
    const receive: RequestListener = (request, response) =>
      this.#open.get(request.socket)?.pipeline.receive(request, response);
    const IncomingMessage = boundedRequests((socket) => this.#open.get(socket)?.pipeline.isFull === true);
    const ServerResponse = lastAnswers(this.#isDraining);
    const server = createServer(
      { ...http, requestTimeout, keepAliveTimeout, IncomingMessage, ServerResponse },
      receive,
    );
    checkWhileConnected(server, CHECK_MS, () => this.#endUntrusted());
    // More than the maximum, so that `requireReadableHttp` sees that there are too many.
    server.maxHeadersCount = MAX_HEADERS + 1;
    // Node would answer these past the pipeline, and before the token is checked: see http/body/body-head.
    server.on('checkExpectation', receive);
    server.on('checkContinue', receive);
    server.on('connect', (request, socket) => this.#refuseConnect(request, socket as Socket));
    server.setTimeout(connectionTimeout);
    // Before Node's own listener: a connection has its place before its first request is read.
    server.prependListener('connection', (socket) => this.#accept(socket, this.end.holding(handle)));
    // `close` calls it. The method of Node would destroy a connection on which a request is arriving.
    server.closeIdleConnections = () => this.end.endIdle();
    server.closeAllConnections = () => this.end.destroyAll();
    server.once('close', () => this.#refusals.flush());
    return server;
  }

  /** Answers bytes for which Node has no request. */
  fail(error: BrokenHttp, socket: Socket): void {
    this.#open.get(socket)?.fail(error);
  }

  /** Call for a request with the right token. */
  trust(request: FastifyRequest): void {
    this.#open.get(request.raw.socket)?.trust();
  }

  /** Call when a request has arrived completely, and its handler begins. */
  keepPlace(request: FastifyRequest): void {
    this.#open.get(request.raw.socket)?.keepPlace();
  }

  /**
   * Tells an untrusted client in the headers how long its connection stays.
   * @throws WorkerError `TOO_MANY_CONNECTIONS` for any route but a probe on a place for probes
   */
  greet(request: FastifyRequest, reply: FastifyReply): void {
    const connection = this.#open.get(request.raw.socket);
    if (connection?.standing !== 'untrusted') return;
    const isProbe = request.routeOptions.config.open === true;
    if (connection.places === this.#probes) {
      reply.header('Connection', 'close');
      if (isProbe) return;
      this.#refusals.connection('refused');
      throw new WorkerError('TOO_MANY_CONNECTIONS', undefined, { retryAfterMs: RETRY_MS });
    }
    // Any other route either brings trust or ends the connection with 401.
    const ends = reply.raw.hasHeader('Connection') || reply.hasHeader('Connection');
    const staysOpen = reply.raw.shouldKeepAlive && !ends;
    if (staysOpen && (isProbe || request.is404))
      reply.headers({ Connection: 'keep-alive', 'Keep-Alive': UNTRUSTED_KEEP_ALIVE });
  }

  /** Node has detached its parser from the socket, so that no request follows. */
  #refuseConnect({ headers }: Request, socket: Socket): void {
    socket.on('error', () => undefined).resume();
    this.#open.get(socket)?.fail({ code: CONNECT_REQUEST }, headers);
  }

  #accept(socket: Socket, handle: RequestListener): void {
    const places = this.#freePlaces();
    const isTrusted = places === this.#places && this.#config.apiToken === undefined;
    const standing = isTrusted ? 'idle' : 'untrusted';
    const connection = new Connection(socket, { places, standing, handle, waiting: this.#waiting });
    this.#open.set(socket, connection);
    this.end.opened(connection);
  }

  /** Frees a place if none is free: one of all, or one for probes if all connections are busy. */
  #freePlaces(): Places<Connection> {
    if (!this.#places.isFull) return this.#places;
    const victim = this.#places.victim();
    if (victim) {
      victim.holder.close();
      this.#refusals.connection('evicted');
      return this.#places;
    }
    // Every connection for probes is untrusted, so one of them can always leave.
    if (this.#probes.isFull) {
      this.#probes.victim()?.holder.close();
      this.#refusals.connection('refused');
    }
    return this.#probes;
  }

  /** Ends the untrusted connections that would exceed their time before the next check. */
  #endUntrusted(): void {
    for (const places of [this.#places, this.#probes]) {
      for (;;) {
        const place = places.untrustedFor(UNTRUSTED_MS - CHECK_MS);
        if (!place) break;
        place.holder.expire();
      }
    }
  }
}
