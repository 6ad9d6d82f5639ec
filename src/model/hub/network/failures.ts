/**
 * Errors of one attempt, as sentences: with the proxy on the way, and with the decision whether another
 * attempt can help. Pure.
 */
import type { HttpProxy } from '../../../config/network/proxy-settings.ts';
import { BrokenTransfer, PullError } from '../pull-error.ts';
import { certificateProblem } from './certificates.ts';
import { ProxyRefusal } from './proxy-client.ts';

/** The way of a request. */
export interface Route {
  /** Host and port that the request is for. */
  readonly host: string;
  readonly proxy: HttpProxy | undefined;
}

/** The host, and the proxy on the way to it. */
export function placeOf({ host, proxy }: Route): string {
  return proxy === undefined ? host : `${host} (through the proxy ${proxy.name})`;
}

/**
 * Converts an error of a request or of reading a body to BrokenTransfer, or to PullError if no retry can
 * help. Returns errors of this module unchanged.
 */
export function broken(error: unknown, route: Route): Error {
  if (error instanceof BrokenTransfer || error instanceof PullError) return error;
  if (error instanceof ProxyRefusal) return refusedByProxy(error, route);
  const code = codeOf(error);
  const certificate = certificateProblem(code, placeOf(route));
  if (certificate !== undefined) return new PullError(`${upperFirst(certificate)}.`);
  const { host, proxy } = route;
  if (!/^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)$/.test(code))
    return new BrokenTransfer(`the connection to ${placeOf(route)} broke (${code})`);
  return new BrokenTransfer(
    proxy === undefined
      ? `${host} cannot be reached (${code}): check the network and HF_ENDPOINT`
      : `the proxy ${proxy.name} cannot be reached (${code}): check ${proxy.variable}, or add ${host} to NO_PROXY`,
  );
}

/** The code of an error of the network; the first cause of several attempts. */
export function codeOf(error: unknown): string {
  const [first = error] = error instanceof AggregateError ? error.errors : [];
  if (!(first instanceof Error)) return 'network error';
  const { code, cause, message }: Error & { readonly code?: unknown } = first;
  // undici wraps errors of a certificate of the proxy.
  if (code === 'UND_ERR_PRX_TLS' && cause instanceof Error) return codeOf(cause);
  // OpenSSL gives its reason in words.
  if (code === 'EPROTO' && /:wrong version number:/.test(message)) return 'ERR_SSL_WRONG_VERSION_NUMBER';
  // The code of an AbortError is a number.
  return typeof code === 'string' ? code : 'network error';
}

/** The reason for which a proxy refused a request, with the remedy. */
export function refusalOf(status: number, { host, proxy }: Route): string {
  const { name, variable } = proxy ?? { name: '', variable: '' };
  if (status === 407)
    return `the proxy ${name} requires a user and a password (407): put both into the URL in ${variable}`;
  return `the proxy ${name} answers ${status} for ${host}: ask its operator to allow the host, or add the host to NO_PROXY`;
}

function refusedByProxy({ status }: ProxyRefusal, route: Route): Error {
  const reason = refusalOf(status, route);
  return status >= 500 || status === 429 || status === 408
    ? new BrokenTransfer(reason)
    : new PullError(`${upperFirst(reason)}.`);
}

const upperFirst = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);
