/**
 * Which web pages may use the worker from a browser: none, unless the operator names them. A browser sends on behalf of any page what that
 * page asks for, and a worker on loopback often has no token.
 */
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/config.ts';
import { WorkerError } from '../contract/errors.ts';

/** What pages of `--cors-origin` may send and read beyond what every page may. */
const METHODS = 'GET, HEAD, POST';
const SENT = 'Authorization, Content-Type, Last-Event-ID, traceparent, X-Correlation-Id, X-Deadline';
const READ = 'Retry-After, traceparent, X-Correlation-Id';
/** Seconds that a browser remembers the answer to a preflight. */
const REMEMBERED_SECONDS = '600';

/** Routes that only read, but whose readers change something: the last one who leaves stops the job. */
const WATCHED = '/jobs/:job_id/events';

/**
 * A hook that answers preflights of `--cors-origin` and marks what those pages may read.
 * @throws WorkerError `FORBIDDEN_ORIGIN` for a page of any other site.
 */
export function originGuard(
  config: Config,
): (request: FastifyRequest, reply: FastifyReply) => FastifyReply | undefined {
  const { corsOrigin } = config;
  const names = namesOf(config);
  return (request, reply) => {
    const { origin } = request.headers;
    refuseForeignName(names, request);
    if (corsOrigin.length > 0) reply.header('Vary', 'Origin');
    if (origin === undefined || !corsOrigin.includes(origin)) {
      refuseForeignPage(request);
      return undefined;
    }
    reply.header('Access-Control-Allow-Origin', origin).header('Access-Control-Expose-Headers', READ);
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined)
      return undefined;
    return reply
      .code(204)
      .header('Access-Control-Allow-Methods', METHODS)
      .header('Access-Control-Allow-Headers', SENT)
      .header('Access-Control-Max-Age', REMEMBERED_SECONDS)
      .send();
  };
}

/** No other caller of the worker is a page: what a browser marks as coming from one is refused. */
function refuseForeignPage({ method, headers, routeOptions }: FastifyRequest): void {
  const reads = method === 'GET' || method === 'HEAD';
  const site = headers['sec-fetch-site'];
  const own = site === undefined || site === 'none' || site === 'same-origin';
  if (reads && routeOptions.url !== WATCHED) return;
  if (!own || (headers.origin !== undefined && site === undefined)) throw new WorkerError('FORBIDDEN_ORIGIN');
}

/**
 * Names by which a worker on loopback without a token may be called, beside addresses. A page whose own name was made to point at 127.0.0.1
 * (DNS rebinding) is of the same origin to its browser: only the name in `Host` tells it. A name without a dot is nobody's to register.
 * Undefined: any name will do.
 */
function namesOf({ host, advertiseUrl, apiToken, allowUnauthenticated }: Config): ReadonlySet<string> | undefined {
  if (apiToken !== undefined || allowUnauthenticated) return undefined;
  return new Set(['localhost', host, ...(advertiseUrl === undefined ? [] : [new URL(advertiseUrl).hostname])]);
}

function refuseForeignName(names: ReadonlySet<string> | undefined, { headers }: FastifyRequest): void {
  const name = headers.host?.replace(/:\d{1,5}$/, '').toLowerCase();
  if (!names || !name?.includes('.') || names.has(name)) return;
  if (isIP(name.replace(/^\[|\]$/g, '')) === 0) throw new WorkerError('FORBIDDEN_ORIGIN');
}
