/** The errors of the client. Every other error of its functions is a defect, or the reason of a signal. */
import type { ErrorBody } from '../contract/answers.ts';
import type { ErrorCode, Retry, StreamErrorCode } from '../contract/errors.ts';
import type { Continuation } from './continuation.ts';

/** The worker refused a request, and began nothing. The fields are those of the error of the worker. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  /** HTTP status. */
  readonly status: number;
  readonly code: ErrorCode;
  readonly retriable: boolean;
  /** Where the same request can succeed: see `RETRIES` of the contract. */
  readonly retry: Retry;
  /** Milliseconds after which a retry can succeed, of `Retry-After`; undefined without an estimate. */
  readonly retryAfterMs: number | undefined;
  readonly correlationId: string | undefined;
  readonly details: Readonly<Record<string, string | number>>;
  /** All rules that the request breaks, for `INVALID_REQUEST`. */
  readonly violations: NonNullable<ErrorBody['error']['errors']>;

  constructor({ status, headers }: Pick<Response, 'status' | 'headers'>, { error }: ErrorBody) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.retriable = error.retriable;
    this.retry = error.retry;
    this.retryAfterMs = retryAfterOf(error.details?.['retry_after_ms'], headers.get('retry-after'));
    this.correlationId = error.correlation_id;
    this.details = error.details ?? {};
    this.violations = error.errors ?? [];
  }
}

/** The job ended with the event `error`, so it has no complete output. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly code: StreamErrorCode;
  readonly retry: Retry;
  readonly correlationId: string;
  /** The text until the error. */
  readonly text: string;
  /** With it, `execute` goes on with the output on another worker. */
  readonly continuation: Continuation | undefined;

  constructor(
    event: { code: StreamErrorCode; message: string; retry: Retry; correlation_id: string },
    text: string,
    continuation: Continuation | undefined,
  ) {
    super(event.message);
    this.continuation = continuation;
    this.code = event.code;
    this.retry = event.retry;
    this.correlationId = event.correlation_id;
    this.text = text;
  }
}

/**
 * No worker answered at the address, or the connection to the stream broke and could not be restored. `cause`
 * is a RefusedError if a worker refused the new connection, for example because it does not have the job.
 */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** Id of the last event that arrived: `attach` reads on after it. Undefined before the first event. */
  readonly lastEventId: string | undefined;
  /** With it, `execute` goes on with the output on another worker. Undefined before the first event. */
  continuation: Continuation | undefined;

  constructor(message: string, lastEventId: string | undefined, cause: unknown) {
    super(message, { cause });
    this.lastEventId = lastEventId;
  }
}

/** A worker that began the output again has generated another text than the earlier one. */
export class DivergedError extends Error {
  override readonly name = 'DivergedError';
  readonly code = 'DIVERGED';
  readonly retry: Retry = 'never';

  constructor() {
    super('The next worker generated another text.');
  }
}

/** The exact time of the body, otherwise the whole seconds of the header. An HTTP date has no use here. */
function retryAfterOf(exactMs: string | number | undefined, header: string | null): number | undefined {
  if (typeof exactMs === 'number') return exactMs;
  return header !== null && /^\d{1,9}$/.test(header) ? Number(header) * 1000 : undefined;
}
