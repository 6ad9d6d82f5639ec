/**
 * The HTTP server: Fastify with its limits, hooks and error handlers, and the routes of the contract.
 */
import Fastify, { type FastifyInstance } from 'fastify';
import { PAGE_FOLDER } from '../config/paths.ts';
import { type ErrorCode, WorkerError } from '../contract/errors.ts';
import { FIXED_LIMITS } from '../contract/execute.ts';
import { ROUTES, type Route, type RouteId } from '../contract/routes.ts';
import { authenticator, type TokenCheck, tokenCheck } from './auth.ts';
import { checkExpectation } from './body/body-head.ts';
import { acceptJsonOnly } from './body/json-body.ts';
import { listenOnOthers } from './connections/other-addresses.ts';
import { Refusals } from './connections/refusals.ts';
import { Connections, connectionOptions, SOCKET_BYTES } from './connections.ts';
import { correlationIdOf, traceOf } from './correlation.ts';
import { unroutedErrors } from './dialect/unrouted.ts';
import { errorHandler, workerErrorOf } from './error-handler.ts';
import { handlersOf, type ServerParts } from './handlers.ts';
import { requireReadableHttp } from './http-rules.ts';
import { loadHeaders } from './operator/load-headers.ts';
import type { ContractFiles } from './operator/openapi.ts';
import { addPage, hasPage } from './operator/page.ts';
import { originGuard } from './origin.ts';
import { requireHost } from './single-headers.ts';
import { tracing } from './traces/begin-trace.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for a probe, which needs no token. */
    readonly open?: boolean;
    /** True for a file of the web page, which needs no token. */
    readonly page?: boolean;
    /** True if the body may be compressed. */
    readonly takesBody?: boolean;
    /** Headers of the answer that repeat the correlation id. */
    readonly requestIds?: readonly string[];
  }
}

/** Bytes of a body for the JSON around the texts. */
const BODY_FRAME_BYTES = 64 * 1024;
/** A character of a prompt takes at most 12 bytes: an escaped surrogate pair. */
const CHAR_BYTES = 12;
/**
 * Bytes of a body for the texts, with `--max-prompt-chars auto`. The context is not known when the server
 * starts, so this is the limit for every model. It bounds the time to decode, check and parse a body
 * (AUTO_PROMPT_CHARS), and holds the longest prompt if its characters take one byte each.
 */
export const AUTO_TEXT_BYTES = 2 ** 21;

/**
 * No route has a schema of Fastify: bodies are checked with zod (validate.ts). Without this option, Fastify
 * loads its compilers, which take 30 ms.
 */
const NO_COMPILERS = { buildValidator: noCompiler, buildSerializer: noCompiler };

function noCompiler(): never {
  throw new Error('Routes have no schemas of Fastify');
}

/** Maximum bytes of a body. */
export const bodyLimit = (promptChars: number | 'auto'): number =>
  BODY_FRAME_BYTES + (promptChars === 'auto' ? AUTO_TEXT_BYTES : CHAR_BYTES * promptChars);

/** Maximum length of a path parameter: a job id of 256 characters with four bytes each, percent-encoded. */
export const MAX_PARAMETER_CHARS = FIXED_LIMITS.jobIdChars * 4 * 3;

/**
 * Builds the server, which does not listen yet.
 * @param contract openapi.yaml and openapi.json
 * @throws Error if a file cannot be read
 */
export function buildServer(parts: ServerParts, contract: ContractFiles): FastifyInstance {
  const { config } = parts;
  const refusals = new Refusals(parts.metrics, config.maxConnections);
  const connections = new Connections(config, refusals, () => parts.state.phase === 'draining');
  const app = Fastify({
    logger: false,
    genReqId: (request) => correlationIdOf(request.headers),
    bodyLimit: bodyLimit(config.maxPromptChars),
    schemaController: { compilersFactory: NO_COMPILERS },
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARS },
    ...connectionOptions(config),
    serverFactory: (handle) => connections.createServer(handle),
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => connections.fail(error, socket),
    frameworkErrors: (error, request, reply) => {
      void reply.header('X-Correlation-Id', request.id);
      unroutedErrors(workerErrorOf(error), request, reply);
    },
  });
  app.decorateRequest('trace');
  parts.metrics.expectErrors(errorCodes());
  app.addHook('preClose', () => connections.end.stopListening(app.server));
  if (config.host === 'localhost') listenOnOthers(app, SOCKET_BYTES);
  acceptJsonOnly(app);
  const guardOrigin = originGuard(config);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('X-Correlation-Id', request.id);
    for (const name of request.routeOptions.config.requestIds ?? []) reply.header(name, request.id);
    if (traceOf(request.headers)) reply.header('traceparent', request.headers['traceparent']);
    requireReadableHttp(request, reply);
    requireHost(request, reply);
    // First, so that a page of --cors-origin can read the errors of the next lines.
    const preflight = guardOrigin(request, reply);
    if (preflight !== undefined) return preflight;
    checkExpectation(request, reply);
    connections.greet(request, reply);
    // Here and not in a handler: the body of a request without a route, which needs no token, is not parsed.
    if (request.is404) throw new WorkerError('NOT_FOUND');
    return undefined;
  });
  const isTrusted = tokenCheck(config.apiToken);
  app.addHook(
    'onSend',
    loadHeaders(() => parts.admission.load, isTrusted),
  );
  app.setErrorHandler(errorHandler(unroutedErrors, refusals, parts.metrics));
  addRoutes(app, parts, { contract, connections, refusals, isTrusted });
  if (hasPage(config)) addPage(app, PAGE_FOLDER);
  return app;
}

interface RouteParts {
  readonly contract: ContractFiles;
  readonly connections: Connections;
  readonly refusals: Refusals;
  readonly isTrusted: TokenCheck;
}

function addRoutes(app: FastifyInstance, parts: ServerParts, routeParts: RouteParts): void {
  const { contract, connections, refusals, isTrusted } = routeParts;
  const needsToken = parts.config.apiToken !== undefined;
  const authenticate = needsToken && authenticator(isTrusted, (request) => connections.trust(request));
  const traced = tracing(parts.tracer);
  const routes: Readonly<Record<RouteId, Route>> = ROUTES;
  for (const [id, { handle, formatError }] of Object.entries(handlersOf(parts, contract, isTrusted))) {
    const { method, path, open, endless, takesBody, takesRest, requestIds = [] } = routes[id as RouteId];
    const beginTrace = traced(id as RouteId);
    app.route({
      method,
      url: routerPath(path, takesRest),
      exposeHeadRoute: !endless,
      config: { open: open === true, takesBody: takesBody === true, requestIds },
      handler: (request, reply) => {
        connections.keepPlace(request);
        return handle(request, reply);
      },
      errorHandler: errorHandler(formatError, refusals, parts.metrics),
      onRequest: [...(!open && authenticate ? [authenticate] : []), ...(beginTrace ? [beginTrace] : [])],
    });
  }
}

/** The codes of errors that the contract lists for any route. */
const errorCodes = (): readonly ErrorCode[] => {
  const routes: readonly Route[] = Object.values(ROUTES);
  return [...new Set(routes.flatMap(({ errors }) => errors))];
};

/** The path in the form of Fastify's router: a parameter begins with a colon, and the rest is an asterisk. */
function routerPath(path: string, takesRest = false): string {
  return (takesRest ? path.replace(/\{\w+\}$/, '*') : path).replace(/\{(\w+)\}/g, ':$1');
}
