/**
 * The table of everything that can go wrong for a caller: code → HTTP status, sentence, whether trying again can help.
 * A code is part of the contract; a sentence leaks no path, token or stack trace.
 */

interface ErrorRow {
  /** HTTP status before a stream has begun; in a stream the code alone counts. */
  readonly status: number;
  readonly sentence: string;
  readonly retriable: boolean;
}

const row = (status: number, retriable: boolean, sentence: string): ErrorRow => ({ status, retriable, sentence });

/** Errors answered as JSON before a stream begins, and those that end a stream (`STREAM_ERROR_CODES`). */
export const ERRORS = {
  INVALID_REQUEST: row(400, false, 'The request is not valid.'),
  UNAUTHORIZED: row(401, false, 'A valid bearer token is needed.'),
  FORBIDDEN_ORIGIN: row(403, false, 'Requests from a web page of another site are not taken.'),
  NOT_FOUND: row(404, false, 'There is nothing here.'),
  DUPLICATE_JOB: row(409, false, 'A job with this id is in flight.'),
  GONE: row(410, false, 'The events of this job are no longer kept.'),
  PROMPT_TOO_LONG: row(413, false, 'The prompt does not fit.'),
  PAYLOAD_TOO_LARGE: row(413, false, 'The request body is too large.'),
  UNSUPPORTED_MEDIA_TYPE: row(415, false, 'The body must be application/json.'),
  INTERNAL: row(500, true, 'The worker failed to answer.'),
  ALL_SLOTS_BUSY: row(503, true, 'All slots are busy and the queue is full.'),
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

/** One broken rule of a request: which field, which rule by its short name, a sentence, and the value where it may be shown. */
export interface Violation {
  readonly field: string;
  readonly constraint: string;
  readonly message: string;
  readonly value?: string | number | boolean;
}

/** An error that a caller is told. Anything else that is thrown is a fault of ours and answered as `INTERNAL`. */
export class WorkerError extends Error {
  readonly code: ErrorCode;
  /** Facts in typed fields, such as `slots_total`. */
  readonly details: Readonly<Record<string, string | number>> | undefined;
  /** All broken rules, for `INVALID_REQUEST`. */
  readonly violations: readonly Violation[] | undefined;

  constructor(
    code: ErrorCode,
    message: string = ERRORS[code].sentence,
    extra: { details?: Record<string, string | number>; violations?: readonly Violation[] } = {},
  ) {
    super(message);
    this.name = 'WorkerError';
    this.code = code;
    this.details = extra.details;
    this.violations = extra.violations;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retriable(): boolean {
    return ERRORS[this.code].retriable;
  }
}
