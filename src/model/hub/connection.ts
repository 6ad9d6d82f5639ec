/**
 * Requests to the hub: redirects, token, retries, limits, and sentences that explain a refusal to the user.
 * Writes no file.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HubSettings } from '../../config/hub-settings.ts';
import { backoffDelay } from '../../protocol/backoff.ts';
import { type HubReference, nameOf } from './reference.ts';

/** Limits of waiting and retrying. Times in milliseconds. */
export interface RetryPolicy {
  /** A connection counts as broken after this time without a byte. */
  readonly stallMs: number;
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
  tries: 5,
  backoffMs: 1000,
  longestBackoffMs: 30_000,
  longestRetryAfterMs: 300_000,
};

export const MAX_REDIRECTS = 5;
/** A page of 1000 files takes about 250 kB. */
export const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;

/** The pull failed. The message states the cause and the remedy. Exit code 1. */
export class PullError extends Error {
  override readonly name: string = 'PullError';
}

/** An attempt failed; another attempt may succeed. */
export class BrokenTransfer extends Error {
  override readonly name = 'BrokenTransfer';
  /** Wait that the server requested with `Retry-After`. */
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

/** Requests to one hub about one repository. */
export class Connection {
  readonly endpoint: string;
  readonly policy: RetryPolicy;
  readonly #reference: HubReference;
  readonly #token: string | undefined;
  readonly #report: (sentence: string) => void;

  constructor(
    { endpoint, token }: Pick<HubSettings, 'endpoint' | 'token'>,
    reference: HubReference,
    report: (sentence: string) => void = () => undefined,
    policy: RetryPolicy = RETRY_POLICY,
  ) {
    this.endpoint = endpoint;
    this.policy = policy;
    this.#reference = reference;
    this.#token = token;
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
  async open(url: URL, headers: Readonly<Record<string, string>>, stallTimer: StallTimer): Promise<Response> {
    let target = url;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await this.#request(target, headers, stallTimer);
      if (response.ok) return response;
      await response.body?.cancel();
      const { status } = response;
      if (![301, 302, 303, 307, 308].includes(status)) throw this.#refused(response, target);
      target = redirectTarget(target, response.headers.get('location'));
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

  /** Sends one request. Sends the token to the hub only, never to a host that the hub redirects to. */
  async #request(url: URL, headers: Readonly<Record<string, string>>, stallTimer: StallTimer): Promise<Response> {
    const trusted = this.#token !== undefined && url.origin === new URL(this.endpoint).origin;
    const all = { ...headers, ...(trusted && { authorization: `Bearer ${this.#token}` }) };
    try {
      return await fetch(url, { headers: all, redirect: 'manual', signal: stallTimer.signal });
    } catch (error) {
      throw broken(error, url.host);
    }
  }

  async #answer(url: URL): Promise<Response> {
    const stallTimer = new StallTimer(this.policy.stallMs);
    try {
      const response = await this.open(url, { accept: 'application/json' }, stallTimer);
      const body = await bodyOf(response, url.host, stallTimer);
      if (!isJson(body))
        throw new PullError(
          `${this.endpoint} does not answer like the hub: check HF_ENDPOINT and any proxy in between.`,
        );
      return new Response(body, { status: response.status, headers: response.headers });
    } finally {
      stallTimer.stop();
    }
  }

  #refused(response: Response, target: URL): Error {
    const { status, headers } = response;
    if (status >= 500 || status === 429 || status === 408)
      return new BrokenTransfer(`${target.host} answers ${status}`, retryAfter(headers.get('retry-after')));
    // A signed URL of another host can expire; the hub then issues a new one.
    if (target.origin !== new URL(this.endpoint).origin) return new BrokenTransfer(`${target.host} answers ${status}`);
    return new PullError(this.#explanation(status, headers.get('x-error-code') ?? ''));
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

/** Aborts a connection that receives nothing for too long. */
export class StallTimer {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(stallMs: number) {
    const reason = new BrokenTransfer(`received no data for ${stallMs / 1000} s`);
    this.#timer = setTimeout(() => this.#controller.abort(reason), stallMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Restarts the timer when data arrives. */
  reset(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * Converts an error of `fetch` or of reading a body to BrokenTransfer. Returns errors of this module
 * unchanged.
 */
export function broken(error: unknown, host: string): Error {
  if (error instanceof BrokenTransfer || error instanceof PullError) return error;
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'network error';
  if (/^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(code))
    return new BrokenTransfer(`${host} cannot be reached (${code}): check the network and HF_ENDPOINT`);
  return new BrokenTransfer(`the connection to ${host} broke (${code})`);
}

function redirectTarget(from: URL, location: string | null): URL {
  const next = location !== null && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  // Never follow a redirect from https to http.
  if (next?.protocol === 'https:' || (next?.protocol === 'http:' && from.protocol === 'http:')) return next;
  throw new PullError(`${from.host} redirects to an invalid or insecure address.`);
}

/** Seconds or a date (RFC 9110, 10.2.3) → milliseconds from now. */
function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function bodyOf(response: Response, host: string, stallTimer: StallTimer): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of response.body ?? []) {
      stallTimer.reset();
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
