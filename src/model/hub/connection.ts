/**
 * Requests to the hub: redirects, token, retries, limits, and sentences that explain a refusal to the user.
 * Writes no file.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HubSettings } from '../../config/hub-settings.ts';
import { backoffDelay } from '../../protocol/backoff.ts';
import { AddressRule } from './addresses.ts';
import { BrokenTransfer, PullError } from './pull-error.ts';
import { type HubReference, nameOf } from './reference.ts';
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

/** The hub, and the addresses that it may lead to. */
export interface HubAccess extends Pick<HubSettings, 'endpoint' | 'token'> {
  /** Default: the rule for the endpoint. */
  readonly rule?: AddressRule;
}

/** Requests to one hub about one repository. */
export class Connection {
  readonly endpoint: string;
  readonly policy: RetryPolicy;
  readonly #reference: HubReference;
  readonly #token: string | undefined;
  readonly #rule: AddressRule;
  readonly #report: (sentence: string) => void;

  constructor(
    { endpoint, token, rule = new AddressRule(endpoint) }: HubAccess,
    reference: HubReference,
    report: (sentence: string) => void = () => undefined,
    policy: RetryPolicy = RETRY_POLICY,
  ) {
    this.endpoint = endpoint;
    this.policy = policy;
    this.#reference = reference;
    this.#token = token;
    this.#rule = rule;
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
      target = redirectTarget(target, response.headers.location);
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

  /** Sends one request. Sends the token to the hub only, never to a host that the hub redirects to. */
  async #request(url: URL, headers: Readonly<Record<string, string>>, watch: TransferWatch): Promise<HubResponse> {
    const trusted = this.#token !== undefined && url.origin === new URL(this.endpoint).origin;
    const all = { ...headers, ...(trusted && { authorization: `Bearer ${this.#token}` }) };
    try {
      return await send({ url, headers: all, rule: this.#rule, signal: watch.signal });
    } catch (error) {
      throw broken(error, url.host);
    }
  }

  async #answer(url: URL): Promise<Response> {
    const watch = this.watch();
    try {
      const { status, headers, body } = await this.open(url, { accept: 'application/json' }, watch);
      const text = await textOf(body, url.host, watch);
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

  #refused(response: HubResponse, target: URL): Error {
    const { status, headers } = response;
    if (status >= 500 || status === 429 || status === 408)
      return new BrokenTransfer(`${target.host} answers ${status}`, retryAfter(headers['retry-after']));
    // A signed URL of another host can expire; the hub then issues a new one.
    if (target.origin !== new URL(this.endpoint).origin) return new BrokenTransfer(`${target.host} answers ${status}`);
    return new PullError(this.#explanation(status, String(headers['x-error-code'] ?? '')));
  }

  /**
   * Explains a refusal. The hub's error code is more specific than the status (huggingface_hub,
   * utils/_http.py): for example, the hub also responds with 401 for a repository that does not exist.
   */
  #explanation(status: number, code: string): string {
    const { repo, revision } = this.#reference;
    const page = `${this.endpoint}/${repo}`;
    const tokenAdvice =
      this.#token === undefined ? 'set HF_TOKEN to a token with read access' : 'HF_TOKEN has no read access';
    if (code === 'GatedRepo' || (status === 403 && code === ''))
      return `${repo} is gated (${status}): request access at ${page}; ${tokenAdvice}.`;
    if (code === 'RevisionNotFound') return `${repo} has no revision ${revision} (404): see ${page}.`;
    if (code === 'EntryNotFound') return `${nameOf(this.#reference)} lost a file during the pull (404): try again.`;
    if (code === 'RepoNotFound' || status === 401 || status === 404)
      return `${repo} does not exist or is private (${status}): check the name at ${this.endpoint}; if it is private, ${tokenAdvice}.`;
    return `${new URL(this.endpoint).host} refuses ${repo} with status ${status}.`;
  }
}

/**
 * Converts an error of a request or of reading a body to BrokenTransfer. Returns errors of this module
 * unchanged.
 */
export function broken(error: unknown, host: string): Error {
  if (error instanceof BrokenTransfer || error instanceof PullError) return error;
  const [cause = error] = error instanceof AggregateError ? error.errors : [];
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'network error';
  if (/^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)$/.test(code))
    return new BrokenTransfer(`${host} cannot be reached (${code}): check the network and HF_ENDPOINT`);
  return new BrokenTransfer(`the connection to ${host} broke (${code})`);
}

function redirectTarget(from: URL, location: string | undefined): URL {
  const next = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  // Never follow a redirect from https to http.
  if (next?.protocol === 'https:' || (next?.protocol === 'http:' && from.protocol === 'http:')) return next;
  throw new PullError(`${from.host} redirects to an invalid or insecure address.`);
}

/** Seconds or a date (RFC 9110, 10.2.3) → milliseconds from now. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function textOf(body: AsyncIterable<Uint8Array>, host: string, watch: TransferWatch): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of body) {
      watch.received(part.byteLength);
      bytes += part.byteLength;
      if (bytes > MAX_RESPONSE_BYTES)
        throw new PullError(`${host} answers with more than ${MAX_RESPONSE_BYTES >> 20} MiB.`);
      parts.push(part);
    }
  } catch (error) {
    throw broken(error, host);
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
