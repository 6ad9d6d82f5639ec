/**
 * Refuses browser requests of pages from other origins, unless the operator allows the origin. Any page that
 * a user opens can send requests to a worker on loopback, which often has no token.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/config.ts';
import { WorkerError } from '../contract/errors.ts';
import { authorityOf, nameGuard } from './host-names.ts';
import { LOAD_HEADERS } from './operator/load-headers.ts';
import { shownText } from './validate.ts';

/**
 * Methods, request headers and response headers that pages of `--cors-origin` may use. The official clients
 * of the dialects send the headers of `CLIENT_HEADERS` from a page.
 */
const METHODS = 'GET, HEAD, POST';
const CLIENT_HEADERS = [
  'anthropic-version, anthropic-beta, anthropic-dangerous-direct-browser-access',
  'openai-organization, openai-project',
  'x-stainless-arch, x-stainless-lang, x-stainless-os, x-stainless-package-version, x-stainless-retry-count',
  'x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout, x-stainless-helper-method',
];
const REQUEST_HEADERS = [
  'Authorization, Content-Encoding, Content-Type, Last-Event-ID, traceparent, X-Correlation-Id, X-Deadline',
  'X-Api-Key, X-Narration, X-Request-Id',
  ...CLIENT_HEADERS,
].join(', ');
const RESPONSE_HEADERS = [
  ...['Retry-After', 'traceparent', 'X-Correlation-Id', 'X-Job-Id', 'X-Request-Id', 'X-Run-Id'],
  ...['request-id', 'x-should-retry'],
  ...LOAD_HEADERS,
].join(', ');
/** Seconds for which a browser may cache the answer to a preflight. */
const PREFLIGHT_SECONDS = '600';
const FOREIGN_PAGE =
  'Cross-origin browser requests are refused; to allow a page, start the worker with its origin in --cors-origin.';

/**
 * Returns a hook that answers preflights of `--cors-origin` pages and lets those pages read the answers.
 * @throws WorkerError `FORBIDDEN_ORIGIN`, from the hook, for a page of any other origin and for a foreign
 * name in `Host`
 */
export function originGuard(
  config: Config,
): (request: FastifyRequest, reply: FastifyReply) => FastifyReply | undefined {
  const { corsOrigin } = config;
  const refuseForeignName = nameGuard(config);
  return (request, reply) => {
    const { origin } = request.headers;
    const host = hostOf(request);
    refuseForeignName(host);
    if (corsOrigin.length > 0) reply.header('Vary', 'Origin');
    if (origin === undefined || !corsOrigin.includes(origin)) {
      refuseForeignPage(request, host);
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

/**
 * Refuses requests that the browser marks as coming from a page of another origin, on every route. The reads
 * of a probe are exempt: their answers are public. A foreign `Origin` with `Sec-Fetch-Site: same-origin` is
 * refused too: it is forged, or a proxy replaces `Host`, and then the operator names the page.
 */
function refuseForeignPage({ method, headers, routeOptions }: FastifyRequest, host: string | undefined): void {
  const { config } = routeOptions;
  if (config.open === true && (method === 'GET' || method === 'HEAD')) return;
  // A link to the web page, followed on a page of another origin, which cannot read the answer.
  if (config.page === true && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document')
    return;
  const { origin, 'sec-fetch-site': site } = headers;
  const ownSite = site === undefined || site === 'none' || site === 'same-origin';
  if (ownSite && (origin === undefined || isSameHost(origin, host))) return;
  const shown = origin === undefined ? {} : { details: { origin: shownText(origin) } };
  throw new WorkerError('FORBIDDEN_ORIGIN', FOREIGN_PAGE, shown);
}

/** Host and port of a request: from an absolute target (RFC 9112, 3.2.2), otherwise from `Host`. */
function hostOf({ raw, headers }: FastifyRequest): string | undefined {
  return /^https?:\/\/([^/?#]*)/i.exec(raw.url ?? '')?.[1] ?? headers.host;
}

/**
 * True if an origin has the host and the port of the request. The schemes may differ: a proxy that ends TLS
 * keeps `Host`, and the worker sees HTTP.
 */
function isSameHost(origin: string, host: string | undefined): boolean {
  const page = authorityOf(/^https?:\/\/(.*)$/i.exec(origin)?.[1] ?? '');
  const own = authorityOf(host ?? '');
  return page !== undefined && page.name === own?.name && page.port === own.port;
}
