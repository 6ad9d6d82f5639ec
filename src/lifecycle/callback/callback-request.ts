/**
 * One POST of the ready callback, directly or through a proxy. Connects first and makes the body then: the
 * body can name the local address of the connection. Follows no redirect, so that the token of the callback
 * and the credentials of its URL reach that URL only.
 */
import { type LookupOptions, lookup as systemLookup } from 'node:dns';
import { once } from 'node:events';
import { request as overHttp, type RequestOptions } from 'node:http';
import { request as overHttps } from 'node:https';
import { connect, type LookupFunction, type Socket } from 'node:net';
import { basicAuthorization, type HttpProxy, plainHost, portOf } from '../../config/network/proxy-settings.ts';
import { certificateProblem } from '../../model/hub/network/certificates.ts';
import { codeOf, placeOf, refusalOf } from '../../model/hub/network/failures.ts';
import { ProxyClient, ProxyRefusal } from '../../model/hub/network/proxy-client.ts';
import { waitOf } from '../../model/hub/network/wait-headers.ts';

/** The connection of an attempt, to the pool-manager or to the proxy on the way. */
export interface Connection {
  readonly localAddress: string;
  readonly remoteAddress: string;
}

/** One attempt. */
export interface CallbackRequest {
  readonly url: string;
  readonly correlationId: string;
  /** Value of `Idempotency-Key`: the same in every attempt of one announcement. */
  readonly idempotencyKey: string;
  /** Bearer token. Takes the place of a user and password in the URL. */
  readonly token: string | undefined;
  /** Makes the body when the connection is open. */
  readonly bodyFor: (connection: Connection) => string;
  readonly proxy: HttpProxy | undefined;
  /** Maximum time until the response. */
  readonly answerMs: number;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  /** Wait that the pool-manager asks for. */
  readonly waitMs?: number | undefined;
}

export interface Failure {
  readonly failure: string;
  /** True if another attempt cannot help. */
  readonly isFinal: boolean;
}

interface Post {
  readonly target: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyFor: (connection: Connection) => string;
  readonly signal: AbortSignal;
}

/** Sends the report once. Never throws. */
export async function postReport(request: CallbackRequest): Promise<Answer | Failure> {
  const { url, correlationId, idempotencyKey, token, bodyFor, proxy, answerMs } = request;
  const { signal, release } = signalWithin(answerMs, request.signal);
  const target = new URL(url);
  try {
    const authorization = token === undefined ? basicAuthorization(target) : `Bearer ${token}`;
    // A URL with user and password is refused by most clients: both are in the header instead.
    target.username = '';
    target.password = '';
    const headers = {
      'Content-Type': 'application/json',
      'X-Correlation-Id': correlationId,
      'Idempotency-Key': idempotencyKey,
      Accept: '*/*',
      'User-Agent': 'rbees-workerd',
      ...(authorization !== undefined && { Authorization: authorization }),
    };
    const post = { target, headers, bodyFor, signal };
    return await (proxy === undefined ? postDirectly(post) : postThrough(proxy, post));
  } catch (error) {
    return failureOf(error, { host: target.host, proxy, answerMs });
  } finally {
    release();
  }
}

/**
 * A signal that aborts with another one, or after a time with a `TimeoutError`. The garbage collector can
 * remove a signal of `AbortSignal.timeout` that only `AbortSignal.any` refers to: it then never aborts.
 */
function signalWithin(ms: number, other: AbortSignal): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const end = (): void => controller.abort(other.reason);
  const late = (): void => controller.abort(new DOMException('No answer in time', 'TimeoutError'));
  const timer = setTimeout(late, ms);
  if (other.aborted) end();
  else other.addEventListener('abort', end, { once: true });
  const release = (): void => {
    clearTimeout(timer);
    other.removeEventListener('abort', end);
  };
  return { signal: controller.signal, release };
}

/** IPv4 first: a worker that listens on 0.0.0.0 needs an IPv4 address to report. */
const lookup: LookupFunction = (host, options, callback) =>
  systemLookup(host, { ...(options as LookupOptions), verbatim: false }, callback as never);

function postDirectly({ target, headers, bodyFor, signal }: Post): Promise<Answer> {
  const begin = target.protocol === 'https:' ? overHttps : overHttp;
  const options: RequestOptions = { method: 'POST', headers: { ...headers }, agent: false, signal, lookup };
  return new Promise((resolve, reject) => {
    const request = begin(target, options);
    request.once('socket', (socket) => {
      socket.once('connect', () => request.end(bodyFor(connectionOf(socket))));
    });
    request.once('response', (response) => {
      const status = response.statusCode ?? 0;
      resolve({ status, waitMs: waitOf(status, response.headers) });
      // The body may be endless or cut off.
      response.on('error', () => undefined).destroy();
    });
    request.on('error', (error) => reject(signal.aborted ? signal.reason : error));
    request.once('close', () => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
  });
}

/** Sends the report over a connection to the proxy that this function opens: its local address counts. */
async function postThrough(proxy: HttpProxy, { target, headers, bodyFor, signal }: Post): Promise<Answer> {
  const socket = connect({ host: plainHost(proxy.url.hostname), port: portOf(proxy.url), lookup, noDelay: true });
  const onAbort = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const client = new ProxyClient(proxy, socket);
  try {
    await connected(socket, signal);
    const body = bodyFor(connectionOf(socket));
    const response = await client.request({ url: target, method: 'POST', headers, body, signal });
    response.body.on('error', () => undefined).destroy();
    return { status: response.status, waitMs: waitOf(response.status, response.headers) };
  } finally {
    signal.removeEventListener('abort', onAbort);
    client.destroy();
    socket.destroy();
  }
}

const connectionOf = ({ localAddress = '', remoteAddress = '' }: Socket): Connection => ({
  localAddress,
  remoteAddress,
});

async function connected(socket: Socket, signal: AbortSignal): Promise<void> {
  await once(socket, 'connect').catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
  // The client of the proxy reports the errors from here on. One without a listener would end the process.
  socket.on('error', () => undefined);
}

/** Sentences for the error codes of a connection. */
const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was closed before the answer',
  EPIPE: 'the connection was closed before the answer',
  UND_ERR_SOCKET: 'the connection was closed before the answer',
  ENOTFOUND: 'the host name is not known',
};

interface Way {
  readonly host: string;
  readonly proxy: HttpProxy | undefined;
  readonly answerMs: number;
}

/** The cause of a failed attempt, for the operator. */
function failureOf(error: unknown, { answerMs, ...route }: Way): Failure {
  const through = route.proxy === undefined ? '' : `, through the proxy ${route.proxy.name}`;
  if (!(error instanceof Error)) return { failure: String(error), isFinal: false };
  if (error.name === 'TimeoutError')
    return { failure: `no answer within ${answerMs / 1000} s${through}`, isFinal: false };
  if (error instanceof ProxyRefusal) return { failure: refusalOf(error.status, route), isFinal: false };
  const code = codeOf(error);
  const certificate = certificateProblem(code, placeOf(route));
  if (certificate !== undefined) return { failure: certificate, isFinal: true };
  if (code.startsWith('HPE_')) return { failure: `the answer is not HTTP${through}`, isFinal: false };
  const known = CONNECTION_ERRORS[code] ?? (code === 'network error' ? error.message : code);
  return { failure: known + through, isFinal: false };
}
