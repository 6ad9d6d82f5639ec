/**
 * What goes over the wire to the hub: one request with its redirects, its token where it belongs, its waits and its bounds; and what an
 * answer means to the person who asked. Writes no file.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HubSettings } from '../../config/hub-settings.ts';
import { backoffDelay } from '../../protocol/backoff.ts';
import { type HubReference, nameOf } from './reference.ts';

/** How long and how often is waited, in milliseconds. */
export interface RetryPolicy {
  /** Without a byte for this long, a connection counts as broken. */
  readonly stallMs: number;
  /** Tries in a row that bring nothing new. */
  readonly tries: number;
  /** Wait before the second try; it doubles from there. */
  readonly backoffMs: number;
  readonly longestBackoffMs: number;
  /** A server that asks for more than this is not waited for. */
  readonly longestRetryAfterMs: number;
}

export const RETRY_POLICY: RetryPolicy = {
  stallMs: 30_000,
  tries: 5,
  backoffMs: 1000,
  longestBackoffMs: 30_000,
  longestRetryAfterMs: 300_000,
};

const MOST_REDIRECTS = 5;
/** A page of 1000 files takes about 250 kB. */
const LARGEST_ANSWER = 16 * 1024 * 1024;

/** A pull that cannot be done: says what and what to do about it. Exit code 1. */
export class PullError extends Error {
  override readonly name: string = 'PullError';
}

/** A try that failed in a way that another one can mend. */
export class BrokenTransfer extends Error {
  override readonly name = 'BrokenTransfer';
  /** What the server asked for by `Retry-After`. */
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

/** Speaks to one hub about one repository. */
export class Connection {
  readonly endpoint: string;
  readonly policy: RetryPolicy;
  readonly #reference: HubReference;
  readonly #token: string | undefined;
  readonly #say: (sentence: string) => void;

  constructor(
    { endpoint, token }: Pick<HubSettings, 'endpoint' | 'token'>,
    reference: HubReference,
    say: (sentence: string) => void = () => undefined,
    policy: RetryPolicy = RETRY_POLICY,
  ) {
    this.endpoint = endpoint;
    this.policy = policy;
    this.#reference = reference;
    this.#token = token;
    this.#say = say;
  }

  /**
   * For the official package, which is given this instead of the global `fetch`: asks the hub only, with the token, again when an answer
   * is broken; an answer is read whole, up to a limit, and is JSON.
   */
  readonly fetch: typeof fetch = async (input) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.origin !== new URL(this.endpoint).origin)
      throw new PullError(`${this.endpoint} refers to ${url.origin} for its list of files, which is not followed.`);
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
   * One request for a file, redirects followed; any status but success is thrown.
   * @throws PullError for what no other try can mend, BrokenTransfer for the rest.
   */
  async open(url: URL, headers: Readonly<Record<string, string>>, watch: Watch): Promise<Response> {
    let place = url;
    for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
      const response = await this.#request(place, headers, watch);
      if (response.ok) return response;
      await response.body?.cancel();
      const { status } = response;
      if (![301, 302, 303, 307, 308].includes(status)) throw this.#refused(response, place);
      place = nextPlace(place, response.headers.get('location'));
    }
    throw new PullError(`${url.host} redirects more than ${MOST_REDIRECTS} times.`);
  }

  /**
   * Waits before the next try, after so many failures in a row.
   * @throws PullError when there were enough of them, or the server asks for too long a wait.
   */
  async recover({ message, waitMs }: BrokenTransfer, failures: number, what: string): Promise<void> {
    const { tries, backoffMs, longestBackoffMs, longestRetryAfterMs } = this.policy;
    if (failures >= tries) throw new PullError(`${what} could not be had: ${message} (${failures} tries).`);
    if (waitMs !== undefined && waitMs > longestRetryAfterMs)
      throw new PullError(`${what}: ${message}, and asks to come back in ${Math.ceil(waitMs / 1000)} s.`);
    const backoff = backoffDelay(failures, { firstMs: backoffMs, longestMs: longestBackoffMs });
    const wait = Math.max(waitMs ?? 0, backoff);
    this.#say(`${what}: ${message}; try ${failures + 1} of ${tries} in ${(wait / 1000).toFixed(1)} s`);
    await sleep(wait);
  }

  /** The token goes to the hub itself and to no other host, whatever redirects there. */
  async #request(url: URL, headers: Readonly<Record<string, string>>, watch: Watch): Promise<Response> {
    const trusted = this.#token !== undefined && url.origin === new URL(this.endpoint).origin;
    const all = { ...headers, ...(trusted && { authorization: `Bearer ${this.#token}` }) };
    try {
      return await fetch(url, { headers: all, redirect: 'manual', signal: watch.signal });
    } catch (error) {
      throw broken(error, url.host);
    }
  }

  async #answer(url: URL): Promise<Response> {
    const watch = new Watch(this.policy.stallMs);
    try {
      const response = await this.open(url, { accept: 'application/json' }, watch);
      const body = await bodyOf(response, url.host, watch);
      if (!isJson(body))
        throw new PullError(
          `${this.endpoint} does not answer as the hub does: is HF_ENDPOINT right, and no proxy between?`,
        );
      return new Response(body, { status: response.status, headers: response.headers });
    } finally {
      watch.stop();
    }
  }

  #refused(response: Response, place: URL): Error {
    const { status, headers } = response;
    if (status >= 500 || status === 429 || status === 408)
      return new BrokenTransfer(`${place.host} answers ${status}`, retryAfter(headers.get('retry-after')));
    // A signed URL of another host can run out or be refused; the hub gives a new one.
    if (place.origin !== new URL(this.endpoint).origin) return new BrokenTransfer(`${place.host} answers ${status}`);
    return new PullError(this.#meaning(status, headers.get('x-error-code') ?? ''));
  }

  /** The hub's own codes say more than a status (huggingface_hub, utils/_http.py): it answers 401 for what is not there, too. */
  #meaning(status: number, code: string): string {
    const { repo, revision } = this.#reference;
    const page = `${this.endpoint}/${repo}`;
    const tell = this.#token === undefined ? 'set HF_TOKEN to a token that may read it' : 'HF_TOKEN may not read it';
    if (code === 'GatedRepo' || (status === 403 && code === ''))
      return `${repo} is gated (${status}): ask for access at ${page}; ${tell}.`;
    if (code === 'RevisionNotFound') return `${repo} has no revision ${revision} (404): see ${page}.`;
    if (code === 'EntryNotFound') return `${nameOf(this.#reference)} lost a file while it was read (404): try again.`;
    if (code === 'RepoNotFound' || status === 401 || status === 404)
      return `${repo} is not there, or is private (${status}): check the name at ${this.endpoint}; for a private one, ${tell}.`;
    return `${new URL(this.endpoint).host} refuses ${repo} with status ${status}.`;
  }
}

/** Breaks a connection on which nothing comes for too long. */
export class Watch {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(stallMs: number) {
    const reason = new BrokenTransfer(`nothing came for ${stallMs / 1000} s`);
    this.#timer = setTimeout(() => this.#controller.abort(reason), stallMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something came. */
  touch(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** What an error of `fetch` or of reading a body means; an error of ours passes as it is. */
export function broken(error: unknown, host: string): Error {
  if (error instanceof BrokenTransfer || error instanceof PullError) return error;
  const cause: unknown = error instanceof Error ? (error.cause ?? error) : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'network error';
  if (/^(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(code))
    return new BrokenTransfer(`${host} cannot be reached (${code}): check the network and HF_ENDPOINT`);
  return new BrokenTransfer(`the connection to ${host} broke (${code})`);
}

function nextPlace(from: URL, location: string | null): URL {
  const next = location !== null && URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  // Never from https down to http.
  if (next?.protocol === 'https:' || (next?.protocol === 'http:' && from.protocol === 'http:')) return next;
  throw new PullError(`${from.host} redirects to where it cannot be followed.`);
}

/** Seconds or a date (RFC 9110, 10.2.3) → milliseconds from now. */
function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

async function bodyOf(response: Response, host: string, watch: Watch): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of response.body ?? []) {
      watch.touch();
      bytes += part.byteLength;
      if (bytes > LARGEST_ANSWER) throw new PullError(`${host} answers with more than ${LARGEST_ANSWER >> 20} MiB.`);
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
