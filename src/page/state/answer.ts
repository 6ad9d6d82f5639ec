/** One answer of a model as data: its text, its parts, its end and its story. Pure. */
import { ConnectionError, RefusedError } from '../../client/errors.ts';
import type { StreamEvent } from '../../contract/events.ts';
import { addToStory, newStory, type Story } from '../story/story.ts';

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, which may be incomplete. */
  arguments: string;
}

/**
 * `stopped`: by the person. `refused`: the worker did not begin it. `lost`: the worker no longer has it, or
 * the connection broke.
 */
export type AnswerStatus = 'running' | 'complete' | 'stopped' | 'failed' | 'refused' | 'lost';

/** The reason why an answer is not complete. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly retry?: string;
  /** When a retry can succeed, in milliseconds since 1970. */
  readonly retryAt?: number;
  /** The rules that the request breaks. */
  readonly violations?: readonly string[];
}

export interface Answer {
  readonly jobId: string;
  /** Id of the last event that arrived: a stream is resumed after it. */
  lastEventId?: string;
  status: AnswerStatus;
  text: string;
  reasoning: string;
  calls: ToolCall[];
  failure?: Failure;
  readonly story: Story;
}

export const newAnswer = (jobId: string, now: number): Answer => ({
  jobId,
  status: 'running',
  text: '',
  reasoning: '',
  calls: [],
  story: newStory(now),
});

/** Adds an event of the stream to an answer. `now`: milliseconds since 1970. */
export function addEvent(answer: Answer, event: StreamEvent, now: number): void {
  addToStory(answer.story, event, now);
  if (event.type === 'token') addToken(answer, event);
  if (event.type === 'end') answer.status = 'complete';
  if (event.type !== 'error') return;
  answer.status = event.code === 'CANCELLED' ? 'stopped' : 'failed';
  if (answer.status === 'failed') answer.failure = { code: event.code, message: event.message, retry: event.retry };
}

function addToken(answer: Answer, { t, part, call, call_id: id }: Extract<StreamEvent, { type: 'token' }>): void {
  if (part === undefined) answer.text += t;
  else if (part === 'reasoning') answer.reasoning += t;
  else if (part === 'tool_name') answer.calls.push({ id: id ?? `call-${answer.calls.length}`, name: t, arguments: '' });
  else {
    const mine = answer.calls[call ?? answer.calls.length - 1];
    if (mine) mine.arguments += t;
  }
}

/** Ends an answer whose stream threw an error. */
export function endWith(answer: Answer, error: unknown, now: number): void {
  answer.story.endedAt ??= Math.max(0, now - answer.story.sentAt);
  const refusal = error instanceof ConnectionError ? error.cause : error;
  if (refusal instanceof RefusedError) {
    const wasRunning = answer.lastEventId !== undefined || (refusal.status === 404 && refusal.code === 'NOT_FOUND');
    answer.status = wasRunning ? 'lost' : 'refused';
    answer.failure = failureOf(refusal, now);
  } else if (error instanceof ConnectionError) {
    answer.status = 'lost';
    answer.failure = { code: 'CONNECTION', message: error.message, retry: 'here' };
  } else {
    answer.status = 'failed';
    answer.failure = { code: 'PAGE', message: error instanceof Error ? error.message : String(error) };
  }
}

const failureOf = (error: RefusedError, now: number): Failure => ({
  code: error.code,
  message: error.message,
  retry: error.retry,
  ...(error.retryAfterMs !== undefined && { retryAt: now + error.retryAfterMs }),
  ...(error.violations.length > 0 && { violations: error.violations.map(({ message }) => message) }),
});
