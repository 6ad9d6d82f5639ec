/**
 * The meaning of the answers to a ready callback. Pure.
 */
import type { Answer, Failure } from './callback-request.ts';

/** Why an attempt failed. */
export interface Problem {
  /** For the operator; the remedy first, if there is one. */
  readonly reason: string;
  /** HTTP status; absent without an answer. */
  readonly status?: number;
  /** Milliseconds that the pool-manager asks to wait; 0 if it asks for none. */
  readonly waitMs: number;
  /** True if another attempt cannot help. */
  readonly isFinal: boolean;
}

/** Statuses with a remedy. */
const REMEDIES: Readonly<Record<number, string>> = {
  401: 'use the right --callback-token; ',
  403: 'use the right --callback-token; ',
  404: 'check the path of --callback-url: ',
};
const GONE = 410;

/** True if the pool-manager has accepted the report: any 2xx status. */
export function isAccepted(answer: Answer | Failure): answer is Answer {
  return 'status' in answer && answer.status >= 200 && answer.status < 300;
}

/**
 * The problem of an attempt that was not accepted. 410 is final: the pool-manager does not want this worker.
 * Any other status may change, because the pool-manager starts or its operator corrects its settings.
 */
export function problemOf(answer: Answer | Failure): Problem {
  if (!('status' in answer)) return { reason: answer.failure, waitMs: 0, isFinal: answer.isFinal };
  const { status, waitMs = 0 } = answer;
  return { reason: sentenceOf(status), status, waitMs, isFinal: status === GONE };
}

function sentenceOf(status: number): string {
  const sentence = `pool-manager answered ${status}`;
  if (status === GONE) return `${sentence}: it does not want this worker`;
  if (status >= 300 && status < 400)
    return `set --callback-url to the final URL: ${sentence}, and the worker follows no redirect`;
  return (REMEDIES[status] ?? '') + sentence;
}
