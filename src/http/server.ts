/**
 * The HTTP server: Fastify, correlation, authentication, the error shape, and every route in one table.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
} from 'fastify';
import { type ErrorCode, WorkerError } from '../errors.ts';
import { narrate } from '../narration/narrate.ts';
import { cancelHandler, shutdownHandler } from './control.ts';
import { correlationIdOf, traceOf } from './correlation.ts';
import { errorBody, sendError, workerErrorOf } from './error-answer.ts';
import { executeHandler, refuseInvalid } from './execute.ts';
import type { Service } from './service.ts';
import { healthHandler, liveHandler, metricsHandler, readyHandler } from './status.ts';

interface Route {
  readonly method: HTTPMethods;
  readonly url: string;
  /** Answered without the bearer token: what a probe must reach. */
  readonly open?: true;
  readonly handler: (request: FastifyRequest, reply: FastifyReply) => unknown;
}

function routes(service: Service, contract: string): readonly Route[] {
  return [
    { method: 'POST', url: '/execute', handler: executeHandler(service) },
    { method: 'POST', url: '/cancel', handler: cancelHandler(service) },
    { method: 'POST', url: '/shutdown', handler: shutdownHandler(service) },
    { method: 'GET', url: '/health', handler: healthHandler(service) },
    { method: 'GET', url: '/live', open: true, handler: liveHandler(service) },
    { method: 'GET', url: '/ready', open: true, handler: readyHandler(service) },
    { method: 'GET', url: '/metrics', handler: metricsHandler(service) },
    {
      method: 'GET',
      url: '/openapi.yaml',
      handler: (_, reply) => reply.type('application/yaml; charset=utf-8').send(contract),
    },
    { method: 'GET', url: '/openapi.json', handler: async (_, reply) => reply.send(await asJson(contract)) },
  ];
}

/** Loaded when first asked for: nobody needs a YAML parser at start-up. */
async function asJson(contract: string): Promise<unknown> {
  const { parse } = await import('yaml');
  return parse(contract);
}

/** Twelve bytes a character (an escaped surrogate pair), and what a conversation's JSON has around them. */
const bodyLimit = (promptChars: number): number => 64 * 1024 + 12 * promptChars;

/** How long a request may take to arrive. Its answer may take as long as the job does. */
const ARRIVAL_MS = 30_000;

/** Builds the server; it does not listen yet. `contractFile` is openapi.yaml. */
export function buildServer(service: Service, contractFile: URL): FastifyInstance {
  const app = Fastify({
    logger: false,
    genReqId: (request) => correlationIdOf(request.headers),
    bodyLimit: bodyLimit(service.config.maxPromptChars),
    requestTimeout: ARRIVAL_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    clientErrorHandler: answerBrokenHttp,
    frameworkErrors: (error, request, reply) => {
      void reply.header('X-Correlation-Id', request.id);
      sendError(reply, workerErrorOf(error));
    },
  });
  acceptJsonOnly(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('X-Correlation-Id', request.id);
    if (traceOf(request.headers)) reply.header('traceparent', request.headers['traceparent']);
    refuseForeignPage(request);
  });
  app.setNotFoundHandler((_request, reply) => sendError(reply, new WorkerError('NOT_FOUND')));
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(service, error, request, reply));
  const authenticate = authenticator(service.config.apiToken);
  for (const { open, ...route } of routes(service, readFileSync(contractFile, 'utf8'))) {
    app.route({ ...route, ...(!open && { onRequest: authenticate }) });
  }
  return app;
}

/** Only JSON has a parser. An empty body is no error of the parser's: whether one is needed is the route's to say. */
function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else parse(request, String(body), done);
  });
}

function answerError(service: Service, thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): unknown {
  const error = workerErrorOf(thrown);
  if (error.code === 'INTERNAL')
    narrate('worker.fault', { error_kind: 'http', reason: String(thrown.stack ?? thrown) });
  if (request.routeOptions.url === '/execute' && error.violations)
    return refuseInvalid(service, request, reply, error.violations);
  return sendError(reply, error);
}

/**
 * A page of another site can make a browser POST here without asking first (no body, or a plain one), and a worker on loopback often has
 * no token. No worker's caller is a page: what a browser marks as coming from one is refused.
 */
function refuseForeignPage({ method, headers }: FastifyRequest): void {
  if (method === 'GET' || method === 'HEAD') return;
  const site = headers['sec-fetch-site'];
  const own = site === undefined || site === 'none' || site === 'same-origin';
  if (!own || (headers.origin !== undefined && site === undefined)) throw new WorkerError('FORBIDDEN_ORIGIN');
}

/** Compares digests, so that neither length nor content of a wrong token can be timed. */
function authenticator(token: string | undefined) {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = token === undefined ? undefined : digest(`Bearer ${token}`);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const given = (request.headers.authorization ?? '').replace(/^bearer /i, 'Bearer ');
    if (!expected || timingSafeEqual(digest(given), expected)) return undefined;
    reply.header('WWW-Authenticate', 'Bearer');
    return sendError(reply, new WorkerError('UNAUTHORIZED'));
  };
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
