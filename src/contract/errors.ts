/**
 * The table of errors that a caller can receive: HTTP status, sentence, and whether a retry can help.
 * A code is part of the contract. A sentence contains no path, token or stack trace.
 */

interface ErrorRow {
  /** HTTP status of an answer before the stream begins. An `error` event in a stream has only the code. */
  readonly status: number;
  readonly sentence: string;
  readonly retriable: boolean;
}

const row = (status: number, retriable: boolean, sentence: string): ErrorRow => ({ status, retriable, sentence });

/** Errors answered as JSON before a stream begins, and errors that end a stream (`STREAM_ERROR_CODES`). */
export const ERRORS = {
  INVALID_REQUEST: row(400, false, 'The request is not valid.'),
  TEMPLATE_UNUSABLE: row(400, false, "The model's chat template cannot be used."),
  UNAUTHORIZED: row(401, false, 'A valid bearer token is required.'),
  FORBIDDEN_ORIGIN: row(403, false, 'Cross-origin browser requests are refused.'),
  NOT_FOUND: row(404, false, 'Not found.'),
  DUPLICATE_JOB: row(409, true, 'A job with this id is already running.'),
  NO_CALLBACK: row(409, false, 'The worker has no --callback-url.'),
  GONE: row(410, false, 'The events of this job are no longer available.'),
  PROMPT_TOO_LONG: row(413, false, 'The prompt does not fit into the context.'),
  PAYLOAD_TOO_LARGE: row(413, false, 'The request body is too large.'),
  UNSUPPORTED_MEDIA_TYPE: row(415, false, 'The body must be application/json.'),
  TOO_MANY_READERS: row(429, true, 'The job already has the maximum number of readers.'),
  INTERNAL: row(500, true, 'The worker failed to answer.'),
  ALL_SLOTS_BUSY: row(503, true, 'All slots are busy and the queue is full.'),
  TOO_MANY_CONNECTIONS: row(503, true, 'All connections are in use.'),
  WORKER_UNHEALTHY: row(503, true, 'The engine is not running.'),
  DRAINING: row(503, true, 'The worker is shutting down.'),
  LOADING: row(503, true, 'The model is still loading.'),
  TIMEOUT: row(504, true, 'The deadline has passed.'),
  CANCELLED: row(499, false, 'The job was cancelled.'),
  VRAM_OOM: row(503, true, 'The device ran out of memory.'),
  INFERENCE_FAILED: row(500, true, 'The inference failed.'),
  ENGINE_LOST: row(503, true, 'The engine process was lost.'),
  SLOW_CONSUMER: row(499, true, 'The reader was too slow.'),
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
  readonly retriable?: boolean;
}

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
  /** True if the same request can succeed later. */
  readonly retriable: boolean;

  constructor(code: ErrorCode, message: string = ERRORS[code].sentence, extras: ErrorExtras = {}) {
    super(message);
    this.name = 'WorkerError';
    this.code = code;
    this.details = extras.details;
    this.violations = extras.violations;
    this.retryAfterMs = extras.retryAfterMs;
    this.status = extras.status ?? ERRORS[code].status;
    this.retriable = extras.retriable ?? ERRORS[code].retriable;
  }
}
