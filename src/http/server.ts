/**
 * The HTTP server: Fastify, correlation, authentication, the error shape, and every route in one table.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
} from 'fastify';
import { WorkerError } from '../contract/errors.ts';
import { narrate } from '../narration/narrate.ts';
import { connectionOptions, limitConnections } from './connections.ts';
import { correlationIdOf, traceOf } from './correlation.ts';
import { acceptJsonOnly } from './json-body.ts';
import { cancelHandler } from './native/cancel.ts';
import { sendError, workerErrorOf } from './native/errors.ts';
import { executeHandler, refuseInvalid } from './native/execute.ts';
import { eventsHandler } from './native/job-events.ts';
import { healthHandler, liveHandler, readyHandler } from './operator/health.ts';
import { metricsHandler } from './operator/metrics.ts';
import { jsonHandler, yamlHandler } from './operator/openapi.ts';
import { shutdownHandler } from './operator/shutdown.ts';
import { originGuard } from './origin.ts';
import type { Service } from './service.ts';

interface Route {
  readonly method: HTTPMethods;
  readonly url: string;
  /** Answered without the bearer token: what a probe must reach. */
  readonly open?: true;
  /** A stream: there is no `HEAD` of it, whose answer would be read to its end. */
  readonly endless?: true;
  readonly handler: (request: FastifyRequest, reply: FastifyReply) => unknown;
}

function routes(service: Service, contract: string): readonly Route[] {
  return [
    { method: 'POST', url: '/execute', handler: executeHandler(service) },
    { method: 'POST', url: '/cancel', handler: cancelHandler(service) },
    { method: 'GET', url: '/jobs/:job_id/events', endless: true, handler: eventsHandler(service) },
    { method: 'POST', url: '/shutdown', handler: shutdownHandler(service) },
    { method: 'GET', url: '/health', handler: healthHandler(service) },
    { method: 'GET', url: '/live', open: true, handler: liveHandler(service) },
    { method: 'GET', url: '/ready', open: true, handler: readyHandler(service) },
    { method: 'GET', url: '/metrics', handler: metricsHandler(service) },
    { method: 'GET', url: '/openapi.yaml', handler: yamlHandler(contract) },
    { method: 'GET', url: '/openapi.json', handler: jsonHandler(contract) },
  ];
}

/** Twelve bytes a character (an escaped surrogate pair), and what a conversation's JSON has around them. */
const bodyLimit = (promptChars: number): number => 64 * 1024 + 12 * promptChars;

/** A job id of 256 characters, each of four bytes, percent-encoded. */
const LONGEST_PARAMETER = 256 * 4 * 3;

/** Builds the server; it does not listen yet. `contractFile` is openapi.yaml. */
export function buildServer(service: Service, contractFile: URL): FastifyInstance {
  const app = Fastify({
    logger: false,
    genReqId: (request) => correlationIdOf(request.headers),
    bodyLimit: bodyLimit(service.config.maxPromptChars),
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    ...connectionOptions(service.config),
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      void reply.header('X-Correlation-Id', request.id);
      sendError(reply, workerErrorOf(error));
    },
  });
  limitConnections(app.server, service.config.maxConnections);
  acceptJsonOnly(app);
  const guardOrigin = originGuard(service.config);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('X-Correlation-Id', request.id);
    if (traceOf(request.headers)) reply.header('traceparent', request.headers['traceparent']);
    return guardOrigin(request, reply);
  });
  app.setNotFoundHandler((_request, reply) => sendError(reply, new WorkerError('NOT_FOUND')));
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(service, error, request, reply));
  const authenticate = authenticator(service.config.apiToken);
  for (const { open, endless, ...route } of routes(service, readFileSync(contractFile, 'utf8'))) {
    app.route({ ...route, exposeHeadRoute: !endless, ...(!open && { onRequest: authenticate }) });
  }
  return app;
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
