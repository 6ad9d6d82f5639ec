/**
 * The shared parts of the encoders of the dialects: the interface, and frames of server-sent events.
 */
import type { Config } from '../../config/config.ts';
import type { Retry, StreamErrorCode } from '../../contract/errors.ts';
import type { Encoder } from '../../jobs/event-log.ts';
import { oneLine } from '../sse.ts';

/** The encoder of one answer of a dialect. */
export interface DialectEncoder extends Encoder {
  /** HTTP status of an answer without a stream: 200, or the status of the error that ended the job. */
  readonly status: number;
}

/** Text that keeps a quiet stream open, for `--sse-keepalive`. */
export function keepAliveOf(mode: Config['sseKeepalive'], chunk: string | undefined): { readonly keepAlive?: string } {
  const text = mode === 'chunk' ? chunk : mode === 'comment' ? ': keep-alive\n\n' : undefined;
  return text === undefined ? {} : { keepAlive: text };
}

/** A server-sent event without a name. */
export const dataFrame = (data: object): string => `data: ${oneLine(JSON.stringify(data))}\n\n`;

/** A server-sent event with a name. */
export const eventFrame = (name: string, data: object): string => `event: ${name}\n${dataFrame(data)}`;

/** The error that ended a job, in the form that the errors before a stream have too. */
export interface JobError {
  readonly code: StreamErrorCode;
  readonly message: string;
  readonly retry: Retry;
}
