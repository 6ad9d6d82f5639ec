/**
 * The shape of OpenAI's errors, before a stream and inside of one. Loads no schema: a request can be refused
 * before the code of its route is loaded.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, type ErrorCode, type WorkerError } from '../../contract/errors.ts';
import { sentencesOf } from '../dialect/check.ts';
import { narrateRefusal, statusOf } from '../dialect/refusal.ts';
import type { ErrorFormatter } from '../error-handler.ts';

/** The error of a body or of a stream. */
export interface OpenAIError {
  readonly message: string;
  readonly type: string;
  /** The field that breaks a rule. */
  readonly param: string | null;
  /** The worker's code in lower case, or OpenAI's own name for the error where clients look for it. */
  readonly code: string;
}

/** Codes that clients of OpenAI expect for errors of the worker, where they differ. */
const CODES: Partial<Record<ErrorCode, string>> = {
  PROMPT_TOO_LONG: 'context_length_exceeded',
  UNAUTHORIZED: 'invalid_api_key',
  NOT_FOUND: 'model_not_found',
};

/** OpenAI's class of an error, by its HTTP status. */
function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

/** The error with all its violations as sentences. */
export function openAIError(error: WorkerError): OpenAIError {
  const code = CODES[error.code] ?? error.code.toLowerCase();
  const param = error.violations?.[0]?.field ?? fieldIn(error);
  return { message: sentencesOf(error), type: typeOf(statusOf(error)), param, code };
}

/** The field of an error that has no violations. */
function fieldIn({ details }: WorkerError): string | null {
  const field = details?.['field'];
  return typeof field === 'string' ? field : null;
}

/** The error that ended a job. */
export function openAIJobError({ code, message }: { readonly code: ErrorCode; readonly message: string }): OpenAIError {
  return { message, type: typeOf(ERRORS[code].status), param: null, code: code.toLowerCase() };
}

/** Writes errors before a stream. */
export const openAIErrors: ErrorFormatter = (error: WorkerError, request: FastifyRequest, reply: FastifyReply) => {
  narrateRefusal(error, request);
  return reply
    .code(statusOf(error))
    .type('application/json; charset=utf-8')
    .send({ error: openAIError(error) });
};
