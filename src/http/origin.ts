/**
 * Refuses browser requests of pages from other origins, unless the operator allows the origin. Any page that
 * a user opens can send requests to a worker on loopback, which often has no token.
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
 * Returns a hook that answers preflights of `--cors-origin` pages and lets those pages read the answers.
 * @throws WorkerError `FORBIDDEN_ORIGIN`, from the hook, for a page of any other site and for a foreign name
 * in `Host`
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
  const isAllowedSite = site === undefined || site === 'none' || site === 'same-origin';
  // A stream is a `GET` with a side effect: the job can stop when its subscriber leaves.
  if (reads && routeOptions.config.endless !== true) return;
  if (!isAllowedSite || (headers.origin !== undefined && site === undefined)) throw new WorkerError('FORBIDDEN_ORIGIN');
}

/**
 * Names that are valid in `Host`, besides IP addresses, for a worker on loopback without a token. If the DNS
 * name of a page points to 127.0.0.1 (DNS rebinding), page and worker have the same origin for the browser;
 * only the name in `Host` reveals the page. Names without a dot are valid too: they cannot be registered.
 * Undefined: every name is valid.
 */
function hostNamesOf(config: Config): ReadonlySet<string> | undefined {
  const { host, advertiseUrl, apiToken, tokenOfFolder, allowUnauthenticated } = config;
  if ((apiToken !== undefined && !tokenOfFolder) || allowUnauthenticated) return undefined;
  return new Set(['localhost', host, ...(advertiseUrl === undefined ? [] : [new URL(advertiseUrl).hostname])]);
}

function refuseForeignName(names: ReadonlySet<string> | undefined, { headers }: FastifyRequest): void {
  const name = headers.host?.replace(/:\d{1,5}$/, '').toLowerCase();
  if (!names || !name?.includes('.') || names.has(name)) return;
  if (isIP(name.replace(/^\[|\]$/g, '')) === 0) throw new WorkerError('FORBIDDEN_ORIGIN');
}
