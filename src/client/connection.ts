/** The requests of the client: address, token, and errors of one worker. */
import type { ErrorBody } from '../contract/answers.ts';
import type { ErrorCode } from '../contract/errors.ts';
import { ConnectionError, RefusedError } from './errors.ts';
import { linkedTo } from './pause.ts';

export interface WorkerAddress {
  /** For example `http://127.0.0.1:8080`. A path is kept, for a worker behind a proxy. */
  readonly url: string;
  /** The worker's `--api-token`, if it has one. */
  readonly apiToken?: string | undefined;
  /** Replaces the global `fetch`, for example by one that uses a proxy. */
  readonly fetch?: typeof fetch | undefined;
}

/** One request. */
export interface Call {
  readonly method: 'GET' | 'POST';
  /** Begins with a slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the head of the answer; absent: no limit. */
  readonly answerWithinMs?: number;
  /** True: a browser sends the request even while its page closes. */
  readonly keepalive?: true;
}

export class Connection {
  readonly #base: string;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #fetch: typeof fetch;

  constructor({ url, apiToken, fetch: send }: WorkerAddress) {
    this.#base = url.replace(/\/+$/, '');
    this.#authorization = apiToken === undefined ? {} : { Authorization: `Bearer ${apiToken}` };
    // The `fetch` of a browser must be called on its window.
    this.#fetch = send ?? ((input, init) => fetch(input, init));
  }

  /**
   * Sends a request.
   * @returns the answer, of any status
   * @throws ConnectionError if no answer came; the reason of the signal
   */
  async send({ method, path, headers, body, signal, keepalive, answerWithinMs }: Call): Promise<Response> {
    const limit = limitOf(signal, answerWithinMs);
    try {
      return await this.#fetch(this.#base + path, {
        method,
        headers: { ...(body && { 'Content-Type': 'application/json' }), ...this.#authorization, ...headers },
        ...(body && { body: JSON.stringify(body) }),
        ...(limit.signal && { signal: limit.signal }),
        ...(keepalive && { keepalive }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw new ConnectionError(`The worker at ${this.#base} did not answer: ${reasonOf(error)}`, undefined, error);
    } finally {
      limit.answered();
    }
  }

  /**
   * Sends a request, and reads the JSON of its answer.
   * @throws RefusedError for an error of the worker; ConnectionError; the reason of the signal
   */
  async json<Answer>(call: Call): Promise<Answer> {
    const response = await this.send(call);
    if (!response.ok) throw await refusalOf(response);
    return (await response.json()) as Answer;
  }
}

/** A signal that also fires if no answer comes in time. `answered` ends that time, and not the signal. */
function limitOf(outer: AbortSignal | undefined, ms: number | undefined) {
  if (ms === undefined) return { signal: outer, answered: () => undefined };
  const { controller } = linkedTo(outer);
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${ms} ms`)), ms);
  return { signal: controller.signal, answered: () => clearTimeout(timer) };
}

/**
 * The error of an answer with an error status. An error of a proxy in front of the worker tells nothing about
 * the request, so it becomes a ConnectionError.
 */
export async function refusalOf(response: Response): Promise<RefusedError | ConnectionError> {
  let text = '';
  try {
    text = await response.text();
  } catch (error) {
    return new ConnectionError(`The answer broke: ${reasonOf(error)}`, undefined, error);
  }
  const body = errorBodyOf(text);
  if (body) return new RefusedError(response, body);
  const message = `The answer has status ${response.status} and does not come from a worker: ${text.slice(0, 200)}`;
  const code = FOREIGN_CODES[response.status];
  if (code === undefined) return new ConnectionError(message, undefined, undefined);
  return new RefusedError(response, { error: { code, message, retriable: false, retry: 'never', correlation_id: '' } });
}

/** Codes for errors of a proxy that no retry can help. */
const FOREIGN_CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHORIZED',
  403: 'UNAUTHORIZED',
  404: 'NOT_FOUND',
  413: 'PAYLOAD_TOO_LARGE',
};

/** The body of an error of a worker. */
function errorBodyOf(text: string): ErrorBody | undefined {
  try {
    const body = JSON.parse(text) as Partial<ErrorBody> | null;
    return body?.error?.code === undefined ? undefined : (body as ErrorBody);
  } catch {
    return undefined;
  }
}

/** The innermost message: `fetch` of Node.js hides the reason in `cause`. */
export function reasonOf(error: unknown): string {
  const { cause, message } = (error ?? {}) as { cause?: unknown; message?: string };
  if (cause instanceof Error && cause.message !== '') return cause.message;
  return message ?? String(error);
}

/** Errors before a connection existed, in Node.js and in Bun. Other runtimes do not tell them apart. */
const NOT_CONNECTED: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'ConnectionRefused',
]);

/** True if the worker has certainly not received the request. */
export function neverReached({ cause }: ConnectionError): boolean {
  const { code, cause: inner } = (cause ?? {}) as { code?: unknown; cause?: { code?: unknown } };
  return NOT_CONNECTED.has(code) || NOT_CONNECTED.has(inner?.code);
}
