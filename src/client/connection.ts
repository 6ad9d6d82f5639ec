/** The requests of the client: address, token, and errors of one worker. */
import type { ErrorBody } from '../contract/answers.ts';
import { ConnectionError, RefusedError } from './errors.ts';

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
  async send({ method, path, headers, body, signal, keepalive }: Call): Promise<Response> {
    try {
      return await this.#fetch(this.#base + path, {
        method,
        headers: { ...(body && { 'Content-Type': 'application/json' }), ...this.#authorization, ...headers },
        ...(body && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
        ...(keepalive && { keepalive }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw new ConnectionError(`The worker at ${this.#base} did not answer: ${reasonOf(error)}`, undefined, error);
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

/** The error of an answer with an error status. An answer of a proxy becomes an error too. */
export async function refusalOf(response: Response): Promise<RefusedError> {
  const text = await response.text();
  return new RefusedError(response, errorBodyOf(text) ?? foreignBody(response.status, text));
}

/** The body of an error of a worker. */
function errorBodyOf(text: string): ErrorBody | undefined {
  try {
    const body = JSON.parse(text) as Partial<ErrorBody> | null;
    return body?.error?.code === undefined ? undefined : (body as ErrorBody);
  } catch {
    return undefined;
  }
}

/** The error of an answer that is not of a worker. Nothing is known about a retry. */
const foreignBody = (status: number, text: string): ErrorBody => ({
  error: {
    code: 'INTERNAL',
    message: `The answer has status ${status} and is not of a worker: ${text.slice(0, 200)}`,
    retriable: true,
    retry: 'elsewhere',
    correlation_id: '',
  },
});

/** The innermost message: `fetch` of Node.js hides the reason in `cause`. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: unknown; message?: string };
  if (cause instanceof Error && cause.message !== '') return cause.message;
  return message ?? String(error);
}
