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
/** Maximum characters of an origin or a name that an error repeats. */
const MAX_SHOWN_CHARS = 64;

const FOREIGN_PAGE =
  'Cross-origin browser requests are refused; to allow a page, start the worker with its origin in --cors-origin.';
const FOREIGN_NAME =
  'Host must be localhost, an IP address, or the name in --host or --advertise-url, because the worker has no --api-token.';

/**
 * Returns a hook that answers preflights of `--cors-origin` pages and lets those pages read the answers.
 * @throws WorkerError `FORBIDDEN_ORIGIN`, from the hook, for a page of any other origin and for a foreign
 * name in `Host`
 */
export function originGuard(
  config: Config,
): (request: FastifyRequest, reply: FastifyReply) => FastifyReply | undefined {
  const { corsOrigin } = config;
  const names = hostNamesOf(config);
  return (request, reply) => {
    const { origin } = request.headers;
    const host = hostOf(request);
    refuseForeignName(names, host);
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
  if (routeOptions.config.open === true && (method === 'GET' || method === 'HEAD')) return;
  const { origin, 'sec-fetch-site': site } = headers;
  const ownSite = site === undefined || site === 'none' || site === 'same-origin';
  if (ownSite && (origin === undefined || isSameHost(origin, host))) return;
  const shown = origin === undefined ? {} : { details: { origin: origin.slice(0, MAX_SHOWN_CHARS) } };
  throw new WorkerError('FORBIDDEN_ORIGIN', FOREIGN_PAGE, shown);
}

/** Host and port of a request: from an absolute target (RFC 9112, 3.2.2), otherwise from `Host`. */
function hostOf({ raw, headers }: FastifyRequest): string | undefined {
  return /^https?:\/\/([^/?#]*)/i.exec(raw.url ?? '')?.[1] ?? headers.host;
}

/** A name or an address, and optionally a port. */
const AUTHORITY = /^(\[[\da-f:.]+\]|[^\s:/?#@[\]\\]+)(?::(\d{1,5}))?$/i;
/** Ports of `http` and `https`, which browsers leave out. */
const DEFAULT_PORTS: ReadonlySet<number> = new Set([80, 443]);

interface Authority {
  readonly name: string;
  /** Undefined for a default port. */
  readonly port: number | undefined;
}

function authorityOf(text: string): Authority | undefined {
  const [, name, port] = AUTHORITY.exec(text) ?? [];
  if (name === undefined) return undefined;
  const isDefault = port === undefined || DEFAULT_PORTS.has(Number(port));
  return { name: name.toLowerCase(), port: isDefault ? undefined : Number(port) };
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

/**
 * Names that are valid in `Host`, besides IP addresses, for a worker on loopback without a token. If the name
 * of a page points to 127.0.0.1 (DNS rebinding), page and worker have the same origin for the browser; only
 * the name in `Host` reveals the page. Names without a dot are no exception: a search domain, LLMNR or mDNS
 * can resolve them. Undefined: every name is valid.
 */
function hostNamesOf(config: Config): ReadonlySet<string> | undefined {
  const { host, advertiseUrl, apiToken, tokenOfFolder, allowUnauthenticated } = config;
  if ((apiToken !== undefined && !tokenOfFolder) || allowUnauthenticated) return undefined;
  const advertised = advertiseUrl === undefined ? [] : [new URL(advertiseUrl).hostname];
  return new Set(['localhost', host.toLowerCase(), ...advertised]);
}

/** Accepts a request without `Host`: only HTTP/1.0 allows it, and no browser speaks HTTP/1.0. */
function refuseForeignName(names: ReadonlySet<string> | undefined, host: string | undefined): void {
  if (names === undefined || host === undefined) return;
  const name = authorityOf(host)?.name ?? '';
  if (names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0) return;
  throw new WorkerError('FORBIDDEN_ORIGIN', FOREIGN_NAME, { details: { host: host.slice(0, MAX_SHOWN_CHARS) } });
}
