/**
 * One GET request over HTTP or HTTPS, with a rule for the addresses that it may connect to. `fetch` has no
 * such rule: it resolves names itself. Follows no redirects.
 */
import { type IncomingHttpHeaders, type IncomingMessage, request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { pipeline, type Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { AddressRule } from './addresses.ts';

export interface HubResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body without its content encoding. Destroy it, or read it to its end. */
  readonly body: Readable;
}

export interface HubRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly rule: AddressRule;
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
 * @throws PullError for an address that is not allowed; the reason of `signal`; errors of the network.
 */
export async function send({ url, headers, rule, signal }: HubRequest): Promise<HubResponse> {
  rule.checkHost(url.hostname);
  const begin = url.protocol === 'https:' ? overHttps : overHttp;
  const all = { 'user-agent': 'rbees-workerd', 'accept-encoding': 'identity', ...headers };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = begin(url, { headers: all, lookup: rule.lookup, signal });
    request.on('response', resolve);
    request.on('error', (error) => reject(signal.aborted ? signal.reason : error));
    request.on('close', () => reject(new Error('The connection was closed before an answer.')));
    request.end();
  });
  const body = decoded(response);
  // Also without a reader, an error must not end the process.
  body.on('error', () => undefined);
  const onAbort = (): void => void body.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  body.once('close', () => signal.removeEventListener('abort', onAbort));
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

function decoded(response: IncomingMessage): Readable {
  const decoder = DECODERS[response.headers['content-encoding']?.toLowerCase() ?? ''];
  return decoder === undefined ? response : pipeline(response, decoder(), () => undefined);
}
