/**
 * One GET request over HTTP or HTTPS, with a rule for the addresses that it may connect to. `fetch` has no
 * such rule: it resolves names itself. Through a proxy, the rule covers addresses but no names, because the
 * proxy resolves them. Follows no redirects.
 */
import { type IncomingMessage, request as overHttp, type RequestOptions } from 'node:http';
import { request as overHttps } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { AddressRule } from './addresses.ts';
import type { ProxyClient } from './network/proxy-client.ts';
import type { HeaderFields } from './network/wait-headers.ts';

export interface HubResponse {
  readonly status: number;
  readonly headers: HeaderFields;
  /** The body without its content encoding. Destroy it, or read it to its end. */
  readonly body: Readable;
}

export interface HubRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly rule: AddressRule;
  /** Absent: the connection is direct. */
  readonly proxy?: ProxyClient | undefined;
  /** Ends the request and the body. Both then fail with its reason. */
  readonly signal: AbortSignal;
}

/** Some servers encode although the request asks for `identity`. */
const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream & Readable>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/**
 * Resolves with the head of the response.
 * @throws PullError for an address that is not allowed; the reason of `signal`; ProxyRefusal; errors of the
 * network.
 */
export async function send({ url, headers, rule, proxy, signal }: HubRequest): Promise<HubResponse> {
  rule.checkHost(url.hostname);
  const all = { 'user-agent': 'rbees-workerd', 'accept-encoding': 'identity', ...headers };
  const response =
    proxy === undefined
      ? await sendDirectly(url, { headers: all, lookup: rule.lookup, signal })
      : await proxy.request({ url, method: 'GET', headers: all, signal });
  const body = decoded(response);
  // Also without a reader, an error must not end the process.
  body.on('error', () => undefined);
  const onAbort = (): void => void body.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  body.once('close', () => signal.removeEventListener('abort', onAbort));
  return { status: response.status, headers: response.headers, body };
}

async function sendDirectly(
  url: URL,
  options: RequestOptions & { readonly signal: AbortSignal },
): Promise<HubResponse> {
  const begin = url.protocol === 'https:' ? overHttps : overHttp;
  const body = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = begin(url, options);
    request.on('response', resolve);
    request.on('error', (error) => reject(options.signal.aborted ? options.signal.reason : error));
    request.on('close', () => reject(new Error('The connection was closed before an answer.')));
    request.end();
  });
  return { status: body.statusCode ?? 0, headers: body.headers, body };
}

function decoded({ headers, body }: HubResponse): Readable {
  const encoding = headers['content-encoding'];
  const decoder = typeof encoding === 'string' ? DECODERS[encoding.toLowerCase()] : undefined;
  return decoder === undefined ? body : pipeline(body, decoder(), () => undefined);
}
