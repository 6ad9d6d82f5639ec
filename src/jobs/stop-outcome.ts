/**
 * The outcome of a job that was stopped from outside: by its caller, its subscribers, its deadline or the
 * drain.
 */
import { ERRORS, type Retry, type StreamErrorCode } from '../contract/errors.ts';
import { narrate } from '../narration/narrate.ts';
import type { Outcome } from '../telemetry/counts.ts';

/** Why a job is stopped before the engine ends it. */
export type StopReason =
  | 'stop_sequence'
  | 'cancelled'
  | 'reader_left'
  | 'unclaimed'
  | 'slow_reader'
  | 'timeout'
  | 'deadline'
  | 'draining';

interface StoppedRow {
  readonly code: StreamErrorCode;
  /** Absent: as the code. */
  readonly retry?: Retry;
  readonly outcome: Outcome;
  readonly kind: string;
  readonly reason: string;
}

/** A stop string is not an error and has no row. */
const STOPPED: Readonly<Record<Exclude<StopReason, 'stop_sequence'>, StoppedRow>> = {
  cancelled: { code: 'CANCELLED', outcome: 'cancelled', kind: 'cancelled', reason: 'requested by the caller' },
  reader_left: { code: 'CANCELLED', outcome: 'cancelled', kind: 'cancelled', reason: 'the reader left' },
  unclaimed: { code: 'CANCELLED', outcome: 'cancelled', kind: 'cancelled', reason: 'no reader came back in time' },
  slow_reader: {
    code: 'SLOW_CONSUMER',
    outcome: 'error',
    kind: 'slow_consumer',
    reason: 'the reader read nothing for too long',
  },
  timeout: { code: 'TIMEOUT', outcome: 'timeout', kind: 'timeout', reason: 'the deadline passed' },
  // The time in X-Deadline has passed: the same request is too late on every worker.
  deadline: { code: 'TIMEOUT', retry: 'never', outcome: 'timeout', kind: 'timeout', reason: 'the deadline passed' },
  draining: { code: 'DRAINING', outcome: 'error', kind: 'draining', reason: 'the worker stopped' },
};

/**
 * Narrates the end of a stopped job, and returns its error and the outcome for metrics. Must run inside the
 * context of the job.
 * @param tokensOut tokens generated before the stop
 * @param unconfirmed true if the engine has not confirmed yet that the slot is free
 */
export function narrateStop(
  { stopped }: { readonly stopped: { readonly why: StopReason; readonly at: number } | undefined },
  tokensOut: number,
  unconfirmed = false,
): Pick<StoppedRow, 'code' | 'outcome'> & { readonly retry: Retry } {
  const why = stopped?.why ?? 'cancelled';
  const {
    code,
    retry = ERRORS[code].retry,
    outcome,
    kind,
    reason,
  }: StoppedRow = STOPPED[why === 'stop_sequence' ? 'cancelled' : why];
  const now = performance.now();
  if (why === 'reader_left') narrate('reader.left', { tokens_out: tokensOut });
  const cancel = { reason, duration_ms: now - (stopped?.at ?? now) };
  if (unconfirmed) narrate('cancel.unconfirmed', cancel);
  else narrate('request.cancelled', { ...cancel, tokens_discarded: tokensOut });
  narrate('inference.failed', { error_kind: kind, reason, tokens_out: tokensOut });
  return { code, outcome, retry };
}
