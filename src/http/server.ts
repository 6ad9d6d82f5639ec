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
import { WorkerError } from '../errors.ts';
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

/** Four bytes a character, a prompt and a conversation's worth of JSON around it. */
const bodyLimit = (promptChars: number): number => 64 * 1024 + 8 * promptChars;

/** Builds the server; it does not listen yet. `contractFile` is openapi.yaml. */
export function buildServer(service: Service, contractFile: URL): FastifyInstance {
  const app = Fastify({
    logger: false,
    genReqId: (request) => correlationIdOf(request.headers),
    bodyLimit: bodyLimit(service.config.maxPromptChars),
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

/** What does not parse as HTTP gets the error shape too, on the bare socket. */
function answerBrokenHttp(_error: Error, socket: Socket): void {
  if (!socket.writable) return;
  const violation = { field: 'request', constraint: 'http', message: 'the request must be well-formed HTTP' };
  const correlationId = correlationIdOf({});
  const body = JSON.stringify(
    errorBody(new WorkerError('INVALID_REQUEST', undefined, { violations: [violation] }), correlationId),
  );
  const head = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${[...head, `X-Correlation-Id: ${correlationId}`, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`);
}
