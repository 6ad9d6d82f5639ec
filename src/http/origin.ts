/**
 * Refuses requests of web pages, except of origins that the operator allows. A browser sends requests for any
 * page that the user opens, and a worker on loopback often has no token.
 */
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/config.ts';
import { WorkerError } from '../contract/errors.ts';

/** Methods, request headers and response headers that pages of `--cors-origin` may use. */
const METHODS = 'GET, HEAD, POST';
const REQUEST_HEADERS = 'Authorization, Content-Type, Last-Event-ID, traceparent, X-Correlation-Id, X-Deadline';
const RESPONSE_HEADERS = 'Retry-After, traceparent, X-Correlation-Id';
/** Seconds for which a browser may cache the answer to a preflight. */
const PREFLIGHT_SECONDS = '600';

/**
 * A hook that answers preflights of `--cors-origin` pages and lets those pages read the answers.
 * @throws WorkerError `FORBIDDEN_ORIGIN` for a page of any other site.
 */
export function originGuard(
  config: Config,
): (request: FastifyRequest, reply: FastifyReply) => FastifyReply | undefined {
  const { corsOrigin } = config;
  const names = hostNamesOf(config);
  return (request, reply) => {
    const { origin } = request.headers;
    refuseForeignName(names, request);
    if (corsOrigin.length > 0) reply.header('Vary', 'Origin');
    if (origin === undefined || !corsOrigin.includes(origin)) {
      refuseForeignPage(request);
      return undefined;
    }
    reply.header('Access-Control-Allow-Origin', origin).header('Access-Control-Expose-Headers', RESPONSE_HEADERS);
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined)
      return undefined;
    return reply
      .code(204)
      .header('Access-Control-Allow-Methods', METHODS)
      .header('Access-Control-Allow-Headers', REQUEST_HEADERS)
      .header('Access-Control-Max-Age', PREFLIGHT_SECONDS)
      .send();
  };
}

/** Refuses requests that the browser marks as coming from a page of another site. */
function refuseForeignPage({ method, headers, routeOptions }: FastifyRequest): void {
  const reads = method === 'GET' || method === 'HEAD';
  const site = headers['sec-fetch-site'];
  const own = site === undefined || site === 'none' || site === 'same-origin';
  // A stream is a `GET` with a side effect: the job can stop when its reader leaves.
  if (reads && routeOptions.config.endless !== true) return;
  if (!own || (headers.origin !== undefined && site === undefined)) throw new WorkerError('FORBIDDEN_ORIGIN');
}

/**
 * Host names that are valid in `Host` for a worker on loopback without a token, besides addresses. A page
 * whose DNS name points to 127.0.0.1 (DNS rebinding) has the same origin as the worker for its browser; only
 * the name in `Host` reveals it. A name without a dot cannot be registered. Undefined: every name is valid.
 */
function hostNamesOf({ host, advertiseUrl, apiToken, allowUnauthenticated }: Config): ReadonlySet<string> | undefined {
  if (apiToken !== undefined || allowUnauthenticated) return undefined;
  return new Set(['localhost', host, ...(advertiseUrl === undefined ? [] : [new URL(advertiseUrl).hostname])]);
}

function refuseForeignName(names: ReadonlySet<string> | undefined, { headers }: FastifyRequest): void {
  const name = headers.host?.replace(/:\d{1,5}$/, '').toLowerCase();
  if (!names || !name?.includes('.') || names.has(name)) return;
  if (isIP(name.replace(/^\[|\]$/g, '')) === 0) throw new WorkerError('FORBIDDEN_ORIGIN');
}
