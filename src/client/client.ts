/** Calls a worker over HTTP and returns its typed events. Uses web APIs only, such as `fetch`. */
import type { ErrorBody } from '../contract/answers.ts';
import type { Retry } from '../contract/errors.ts';
import type { ExecuteRequest } from '../contract/execute.ts';
import { readEvents, type SseEvent } from './sse.ts';

export interface WorkerAddress {
  /** For example `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The worker's `--api-token`, if it has one. */
  readonly apiToken?: string | undefined;
}

/** The worker refused a request before its stream began. All fields are those of the worker's error. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;
  readonly code: string;
  readonly retriable: boolean;
  /** Where the same request can succeed: see `RETRIES` of the contract. */
  readonly retry: Retry;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(status: number, { error }: ErrorBody) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.retriable = error.retriable;
    this.retry = error.retry;
    this.details = error.details ?? {};
  }
}

/**
 * Posts one job and yields the events of its stream. Leaving the loop closes the connection, which cancels
 * the job unless `on_disconnect` is `continue`.
 * @throws RefusedError if the worker does not accept the job; TypeError if it cannot be reached; or the
 * reason of `signal`
 */
export async function* execute(
  { url, apiToken }: WorkerAddress,
  request: ExecuteRequest,
  signal?: AbortSignal,
): AsyncGenerator<SseEvent, void, void> {
  const response = await fetch(`${url}/execute`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'text/event-stream',
      ...(apiToken !== undefined && { Authorization: `Bearer ${apiToken}` }),
    },
    body: JSON.stringify(request),
    ...(signal && { signal }),
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  if (!isStream) throw new RefusedError(response.status, (await response.json()) as ErrorBody);
  yield* readEvents(response);
}
