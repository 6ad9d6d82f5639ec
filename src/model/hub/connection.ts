/**
 * Requests to the hub: redirects, token, retries, limits, and sentences that explain a refusal to the user.
 * Writes no file.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HubSettings } from '../../config/network/hub-settings.ts';
import type { HttpProxy } from '../../config/network/proxy-settings.ts';
import { backoffDelay } from '../../protocol/backoff.ts';
import { AddressRule } from './addresses.ts';
import { broken, placeOf, type Route } from './network/failures.ts';
import { ProxyClient } from './network/proxy-client.ts';
import { explainRefusal } from './network/refusal.ts';
import { type HeaderFields, waitOf } from './network/wait-headers.ts';
import { BrokenTransfer, PullError } from './pull-error.ts';
import type { HubReference } from './reference.ts';
import { type HubResponse, send } from './request.ts';
import { TransferWatch } from './transfer-watch.ts';

/** Limits of waiting and retrying. Times in milliseconds. */
export interface RetryPolicy {
  /** A connection counts as broken after this time without a byte. */
  readonly stallMs: number;
  /** A connection counts as broken if it brings fewer bytes than this in `rateWindowMs`. */
  readonly leastBytes: number;
  readonly rateWindowMs: number;
  /** Maximum number of consecutive attempts without new data. */
  readonly tries: number;
  /** Wait before the second attempt. Doubles with every further attempt. */
  readonly backoffMs: number;
  readonly longestBackoffMs: number;
  /** The download fails if a server requests a longer wait than this. */
  readonly longestRetryAfterMs: number;
}

export const RETRY_POLICY: RetryPolicy = {
  stallMs: 30_000,
  // A modem with 56 kbit/s brings 420 kB in a minute.
  leastBytes: 64 * 1024,
  rateWindowMs: 60_000,
  tries: 5,
  backoffMs: 1000,
  longestBackoffMs: 30_000,
  longestRetryAfterMs: 300_000,
};

export const MAX_REDIRECTS = 5;
/** A page of 1000 files takes about 250 kB. */
export const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;

/** The hub, the way to it, and the addresses that it may lead to. */
export interface HubAccess
  extends Pick<HubSettings, 'endpoint' | 'token'>,
    Partial<Pick<HubSettings, 'tokenSource' | 'proxyFor'>> {
  /** Default: the rule for the endpoint. */
  readonly rule?: AddressRule;
}

/** Requests to one hub about one repository. */
export class Connection {
  readonly endpoint: string;
  readonly policy: RetryPolicy;
  readonly #reference: HubReference;
  readonly #access: HubAccess;
  /** Variable of a proxy → its connections. Two proxies with one address can have different users. */
  readonly #proxies = new Map<string, ProxyClient>();
  readonly #rule: AddressRule;
  readonly #report: (sentence: string) => void;

  constructor(
    access: HubAccess,
    reference: HubReference,
    report: (sentence: string) => void = () => undefined,
    policy: RetryPolicy = RETRY_POLICY,
  ) {
    this.endpoint = access.endpoint;
    this.policy = policy;
    this.#reference = reference;
    this.#access = access;
    this.#rule = access.rule ?? new AddressRule(access.endpoint);
    this.#report = report;
  }

  /**
   * A `fetch` for the official package. Sends requests to the hub only, with the token, and retries failed
   * requests. Reads the whole response, up to a limit, and accepts only JSON.
   */
  readonly fetch: typeof fetch = async (input) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.origin !== new URL(this.endpoint).origin)
      throw new PullError(
        `${this.endpoint} refers to ${url.origin} for its list of files: links to another host are not followed.`,
      );
    for (let failures = 0; ; ) {
      try {
        return await this.#answer(url);
      } catch (error) {
        if (!(error instanceof BrokenTransfer)) throw error;
        failures += 1;
        await this.recover(error, failures, 'the list of files');
      }
    }
  };

  /**
   * Sends one request for a file and follows redirects. Returns only successful responses.
   * @throws PullError if a retry cannot help, otherwise BrokenTransfer.
   */
  async open(url: URL, headers: Readonly<Record<string, string>>, watch: TransferWatch): Promise<HubResponse> {
    let target = url;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await this.#request(target, headers, watch);
      const { status } = response;
      if (status >= 200 && status < 300) return response;
      response.body.destroy();
      if (![301, 302, 303, 307, 308].includes(status)) throw this.#refused(response, target);
      target = redirectTarget(target, response.headers['location']);
    }
    throw new PullError(`${url.host} redirects more than ${MAX_REDIRECTS} times.`);
  }

  /**
   * Waits before the next attempt. `failures` = number of consecutive failed attempts.
   * @throws PullError after the last allowed attempt, or if the server requests too long a wait.
   */
  async recover({ message, waitMs }: BrokenTransfer, failures: number, what: string): Promise<void> {
    const { tries, backoffMs, longestBackoffMs, longestRetryAfterMs } = this.policy;
    if (failures >= tries) throw new PullError(`${what} could not be downloaded: ${message} (${failures} tries).`);
    if (waitMs !== undefined && waitMs > longestRetryAfterMs)
      throw new PullError(`${what}: ${message} and asks for a wait of ${Math.ceil(waitMs / 1000)} s: try again later.`);
    const backoff = backoffDelay(failures, { firstMs: backoffMs, longestMs: longestBackoffMs });
    const wait = Math.max(waitMs ?? 0, backoff);
    this.#report(`${what}: ${message}; try ${failures + 1} of ${tries} in ${(wait / 1000).toFixed(1)} s`);
    await sleep(wait);
  }

  /** A watch over one attempt. The caller stops it. */
  watch(): TransferWatch {
    return new TransferWatch(this.policy);
  }

  /** The way of a request. */
  routeTo(url: URL): Route {
    return { host: url.host, proxy: this.#access.proxyFor?.(url) };
  }

  /** Sends one request. Sends the token to the hub only, never to a host that the hub redirects to. */
  async #request(url: URL, headers: Readonly<Record<string, string>>, watch: TransferWatch): Promise<HubResponse> {
    const { token } = this.#access;
    const trusted = token !== undefined && url.origin === new URL(this.endpoint).origin;
    const all = { ...headers, ...(trusted && { authorization: `Bearer ${token}` }) };
    const route = this.routeTo(url);
    try {
      return await send({
        url,
        headers: all,
        rule: this.#rule,
        signal: watch.signal,
        proxy: this.#clientOf(route.proxy),
      });
    } catch (error) {
      this.#forget(route.proxy);
      throw broken(error, route);
    }
  }

  #clientOf(proxy: HttpProxy | undefined): ProxyClient | undefined {
    if (proxy === undefined) return undefined;
    const client = this.#proxies.get(proxy.variable) ?? new ProxyClient(proxy);
    this.#proxies.set(proxy.variable, client);
    return client;
  }

  /** The next request opens new connections: it must not wait for one of a failed attempt. */
  #forget(proxy: HttpProxy | undefined): void {
    if (proxy === undefined) return;
    this.#proxies.get(proxy.variable)?.destroy();
    this.#proxies.delete(proxy.variable);
  }

  async #answer(url: URL): Promise<Response> {
    const watch = this.watch();
    try {
      const { status, headers, body } = await this.open(url, { accept: 'application/json' }, watch);
      const text = await textOf(body, this.routeTo(url), watch);
      if (!isJson(text))
        throw new PullError(
          `${this.endpoint} does not answer like the hub: check HF_ENDPOINT and any proxy in between.`,
        );
      const link = typeof headers['link'] === 'string' ? { link: headers['link'] } : {};
      return new Response(text, { status, headers: { 'content-type': 'application/json', ...link } });
    } finally {
      watch.stop();
    }
  }

  #refused({ status, headers }: HubResponse, target: URL): Error {
    const place = placeOf(this.routeTo(target));
    if (status >= 500 || status === 429 || status === 408)
      return new BrokenTransfer(`${place} answers ${status}`, waitOf(status, headers));
    // A signed URL of another host can expire; the hub then issues a new one.
    if (target.origin !== new URL(this.endpoint).origin) return new BrokenTransfer(`${place} answers ${status}`);
    const { endpoint, token, tokenSource = token && 'HF_TOKEN' } = this.#access;
    return new PullError(explainRefusal(status, headers, { endpoint, reference: this.#reference, tokenSource }));
  }
}

function redirectTarget(from: URL, location: HeaderFields[string]): URL {
  const next = typeof location === 'string' && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  // Never follow a redirect from https to http.
  if (next?.protocol === 'https:' || (next?.protocol === 'http:' && from.protocol === 'http:')) return next;
  throw new PullError(`${from.host} redirects to an invalid or insecure address.`);
}

async function textOf(body: AsyncIterable<Uint8Array>, route: Route, watch: TransferWatch): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of body) {
      watch.received(part.byteLength);
      bytes += part.byteLength;
      if (bytes > MAX_RESPONSE_BYTES)
        throw new PullError(`${route.host} answers with more than ${MAX_RESPONSE_BYTES >> 20} MiB.`);
      parts.push(part);
    }
  } catch (error) {
    throw broken(error, route);
  }
  return Buffer.concat(parts).toString('utf8');
}

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== null;
  } catch {
    return false;
  }
}
