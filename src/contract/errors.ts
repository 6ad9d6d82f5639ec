/**
 * The table of errors that a caller can receive: HTTP status, sentence, and where a retry can help.
 * A code is part of the contract. A sentence contains no path, token or stack trace.
 */

/**
 * Where the same request can succeed. `here`: on this worker, after `Retry-After` if the answer has it.
 * `elsewhere`: on another worker, at once. This worker does not serve the request soon, or not at all;
 * `Retry-After` then estimates when it does. `never`: on no worker, until the request changes.
 */
export const RETRIES = ['here', 'elsewhere', 'never'] as const;
export type Retry = (typeof RETRIES)[number];

interface ErrorRow {
  /** HTTP status of an answer before the stream begins. An `error` event in a stream has only the code. */
  readonly status: number;
  readonly sentence: string;
  readonly retry: Retry;
}

const row = (status: number, retry: Retry, sentence: string): ErrorRow => ({ status, retry, sentence });

/**
 * Errors answered as JSON before a stream begins, and errors that end a stream (`STREAM_ERROR_CODES`).
 * A defect and a trouble of the engine are `elsewhere`: they may meet the request again on this worker.
 * Errors about a job of this worker are never `elsewhere`: the other workers do not know the job.
 */
export const ERRORS = {
  INVALID_REQUEST: row(400, 'never', 'The request is not valid.'),
  TEMPLATE_UNUSABLE: row(400, 'never', "The model's chat template cannot be used."),
  SCHEMA_TOO_COMPLEX: row(400, 'never', 'The demanded form of the output is too complex.'),
  UNAUTHORIZED: row(401, 'never', 'A valid bearer token is required.'),
  FORBIDDEN_ORIGIN: row(403, 'never', 'Cross-origin browser requests are refused.'),
  NOT_FOUND: row(404, 'never', 'Not found.'),
  DUPLICATE_JOB: row(409, 'here', 'A job with this id is already running.'),
  OTHER_RUN: row(409, 'never', 'The event belongs to another run of this job.'),
  NO_CALLBACK: row(409, 'never', 'The worker has no --callback-url.'),
  GONE: row(410, 'never', 'The events of this job are no longer available.'),
  PROMPT_TOO_LONG: row(413, 'never', 'The prompt does not fit into the context.'),
  PAYLOAD_TOO_LARGE: row(413, 'never', 'The request body is too large.'),
  UNSUPPORTED_MEDIA_TYPE: row(415, 'never', 'The body must be application/json.'),
  TOO_MANY_READERS: row(429, 'here', 'The job already has the maximum number of readers.'),
  INTERNAL: row(500, 'elsewhere', 'The worker failed to answer.'),
  ALL_SLOTS_BUSY: row(503, 'here', 'All slots are busy and the queue is full.'),
  TOO_MANY_CONNECTIONS: row(503, 'here', 'All connections are in use.'),
  ENGINE_STALLED: row(503, 'elsewhere', 'The engine does not respond at the moment.'),
  WORKER_UNHEALTHY: row(503, 'elsewhere', 'The engine is not running.'),
  DRAINING: row(503, 'elsewhere', 'The worker is shutting down.'),
  LOADING: row(503, 'here', 'The model is still loading.'),
  TIMEOUT: row(504, 'here', 'The deadline has passed.'),
  CANCELLED: row(499, 'never', 'The job was cancelled.'),
  VRAM_OOM: row(503, 'elsewhere', 'The device ran out of memory.'),
  INFERENCE_FAILED: row(500, 'elsewhere', 'The inference failed.'),
  ENGINE_LOST: row(503, 'elsewhere', 'The engine process was lost.'),
  SLOW_CONSUMER: row(499, 'here', 'The reader was too slow.'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** The codes an `error` event of a stream can carry. */
export const STREAM_ERROR_CODES = [
  'VRAM_OOM',
  'CANCELLED',
  'TIMEOUT',
  'INVALID_REQUEST',
  'INFERENCE_FAILED',
  'ENGINE_LOST',
  'SLOW_CONSUMER',
  'DRAINING',
] as const satisfies readonly ErrorCode[];
export type StreamErrorCode = (typeof STREAM_ERROR_CODES)[number];

/** One rule that a request breaks. */
export interface Violation {
  readonly field: string;
  /** Short name of the rule, such as `maximum`. */
  readonly constraint: string;
  /** The rule as a sentence. */
  readonly message: string;
  /** The rejected value; absent if it may contain text of a user. */
  readonly value?: string | number | boolean;
}

interface ErrorExtras {
  readonly details?: Readonly<Record<string, string | number>>;
  readonly violations?: readonly Violation[];
  readonly retryAfterMs?: number;
  readonly status?: number;
  /** Absent: as the code. */
  readonly retry?: Retry;
}

/** True if the same request can succeed later: the field of version 1, which `retry` refines. */
export const isRetriable = (retry: Retry): boolean => retry !== 'never';

/**
 * An error that is reported to the caller. Any other thrown value is a defect and is answered as `INTERNAL`.
 */
export class WorkerError extends Error {
  readonly code: ErrorCode;
  /** Facts in typed fields, such as `slots_total`. They are part of the answer's body. */
  readonly details: Readonly<Record<string, string | number>> | undefined;
  /** All broken rules, for `INVALID_REQUEST`. */
  readonly violations: readonly Violation[] | undefined;
  /**
   * Milliseconds after which a retry can succeed; undefined if there is no estimate. Not part of the body.
   */
  readonly retryAfterMs: number | undefined;
  /** HTTP status of the answer: the one of the code, except for errors that HTTP has its own status for. */
  readonly status: number;
  /** Where the same request can succeed: as the code, except for requests of which the worker knows more. */
  readonly retry: Retry;

  constructor(code: ErrorCode, message: string = ERRORS[code].sentence, extras: ErrorExtras = {}) {
    super(message);
    this.name = 'WorkerError';
    this.code = code;
    this.details = extras.details;
    this.violations = extras.violations;
    this.retryAfterMs = extras.retryAfterMs;
    this.status = extras.status ?? ERRORS[code].status;
    this.retry = extras.retry ?? ERRORS[code].retry;
  }

  get retriable(): boolean {
    return isRetriable(this.retry);
  }
}

/** The WorkerError that `check` throws; undefined if it throws nothing. Throws any other error again. */
export function refusalOf(check: () => unknown): WorkerError | undefined {
  try {
    check();
  } catch (error) {
    if (error instanceof WorkerError) return error;
    throw error;
  }
  return undefined;
}
