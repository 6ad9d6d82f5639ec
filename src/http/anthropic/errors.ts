/**
 * The shape of Anthropic's errors, before a stream and inside of one. Loads no schema: a request can be
 * refused before the code of its route is loaded.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AnthropicErrorType } from '../../contract/anthropic/answers.ts';
import type { ErrorCode, Retry, WorkerError } from '../../contract/errors.ts';
import { sentencesOf } from '../dialect/check.ts';
import { failureStatus, narrateRefusal, statusOf } from '../dialect/refusal.ts';
import type { ErrorFormatter } from '../error-handler.ts';

/** An error as a body, and as the data of the event `error`. */
export interface AnthropicErrorBody {
  readonly type: 'error';
  readonly error: { readonly type: AnthropicErrorType; readonly message: string };
  readonly request_id: string;
}

/** Agents look for this beginning of the message, and then shorten the prompt. */
const TOO_LONG = 'prompt is too long: ';

/** Anthropic's class of an error, by its HTTP status. https://docs.claude.com/en/api/errors */
const TYPES: Readonly<Record<number, AnthropicErrorType>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  499: 'api_error',
  500: 'api_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** The body of an error with all its violations as sentences. */
export function anthropicError(error: WorkerError, requestId: string): AnthropicErrorBody {
  const sentences = sentencesOf(error);
  const message = error.code === 'PROMPT_TOO_LONG' ? TOO_LONG + sentences : sentences;
  return errorBody(statusOf(error), message, requestId);
}

/** The error that ended a job. */
export function anthropicJobError(
  error: { readonly code: ErrorCode; readonly message: string; readonly retry: Retry },
  requestId: string,
): AnthropicErrorBody {
  return errorBody(failureStatus(error), error.message, requestId);
}

const errorBody = (status: number, message: string, requestId: string): AnthropicErrorBody => ({
  type: 'error',
  error: { type: TYPES[status] ?? 'invalid_request_error', message },
  request_id: requestId,
});

/** Writes errors before a stream. */
export const anthropicErrors: ErrorFormatter = (error: WorkerError, request: FastifyRequest, reply: FastifyReply) => {
  narrateRefusal(error, request);
  return reply.code(statusOf(error)).type('application/json; charset=utf-8').send(anthropicError(error, request.id));
};
