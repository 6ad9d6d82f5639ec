/**
 * Requests through one HTTP proxy, for the hub and for the ready callback: a tunnel (CONNECT) to an https
 * host, and the whole URL in the request line to an http host. The proxy resolves the host name. Loads undici
 * with the first request, because that takes longer than the start of a worker allows (150 ms).
 */
import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { buildConnector, ProxyAgent } from 'undici';
import type { HttpProxy } from '../../../config/network/proxy-settings.ts';
import type { HeaderFields } from './wait-headers.ts';

/** The proxy itself refused a request. */
export class ProxyRefusal extends Error {
  override readonly name = 'ProxyRefusal';
  /** Its HTTP status. */
  readonly status: number;

  constructor(status: number) {
    super(`The proxy answers ${status}.`);
    this.status = status;
  }
}

export interface ProxiedRequest {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface ProxiedResponse {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: Readable;
}

/** Reports of undici about a proxy that refuses. It has no error classes for them. */
const REFUSED = /^Proxy (?:response|Authentication Required) \((\d{3})\)/;
/** The caller limits the time with a signal. */
const NO_LIMIT = { headersTimeout: 0, bodyTimeout: 0 } as const;

export class ProxyClient {
  readonly #agent: Promise<ProxyAgent>;

  /** @param socket a connection to the proxy for the only request; absent: connections are opened and kept */
  constructor(proxy: HttpProxy, socket?: Socket) {
    this.#agent = openAgent(proxy, socket);
    // A failed load rejects the request too.
    this.#agent.catch(() => undefined);
  }

  /**
   * Resolves with the head of the response. Follows no redirects.
   * @throws ProxyRefusal; errors of the network and of TLS, with their codes; the reason of `signal`
   */
  async request({ url, method, headers, body, signal }: ProxiedRequest): Promise<ProxiedResponse> {
    const agent = await this.#agent;
    signal.throwIfAborted();
    try {
      const { origin, pathname, search } = url;
      const path = pathname + search;
      const response = await untilAborted(
        agent.request({ origin, path, method, headers, signal, ...(body && { body }) }),
        signal,
      );
      if (response.statusCode !== 407) return { ...response, status: response.statusCode };
      response.body.on('error', () => undefined).destroy();
      throw new ProxyRefusal(407);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const [, status] = REFUSED.exec(error instanceof Error ? error.message : '') ?? [];
      throw status === undefined ? error : new ProxyRefusal(Number(status));
    }
  }

  /** Closes all connections, also those that a request waits for. */
  destroy(): void {
    void this.#agent.then((agent) => agent.destroy()).catch(() => undefined);
  }
}

/** undici notices an abort only after the tunnel is open, which a proxy can delay for ever. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const stop = new AbortController();
  const aborted = once(signal, 'abort', { signal: stop.signal }).then(() => Promise.reject(signal.reason));
  try {
    return await Promise.race([work, aborted]);
  } finally {
    stop.abort();
    aborted.catch(() => undefined);
    work.catch(() => undefined);
  }
}

/** Loads undici before the first request, so that the request does not delay the worker. */
export function preloadProxyClient(): void {
  void import('undici').catch(() => undefined);
}

async function openAgent({ url, authorization }: HttpProxy, socket: Socket | undefined): Promise<ProxyAgent> {
  const { Pool, ProxyAgent, buildConnector } = await import('undici');
  const open = buildConnector({ timeout: 0 });
  const connect: buildConnector.connector = ({ servername = '', ...options }, callback) => {
    // undici ignores a connection that is there before this function returns.
    if (options.protocol !== 'https:' && socket) return queueMicrotask(() => callback(null, socket));
    // TLS has no server names for addresses.
    const named = isIP(servername) === 0 && { servername };
    open({ ...options, ...named, ...(socket && { httpSocket: socket }) }, callback);
  };
  const toProxy = () => new Pool(url, { ...NO_LIMIT, connect });
  return new ProxyAgent({
    ...NO_LIMIT,
    uri: url.href,
    // An http host needs no tunnel, and many proxies open tunnels to port 443 only.
    proxyTunnel: false,
    requestTls: { timeout: 0 },
    clientFactory: toProxy,
    // The address of the proxy has a final slash, an origin has none.
    factory: (target, options) => (target === url.href ? toProxy() : new Pool(target, options)),
    ...(authorization !== undefined && { token: authorization }),
  });
}
