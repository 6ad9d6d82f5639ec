/** The status and the narration of a refusal, which all dialects share. */
import type { FastifyRequest } from 'fastify';
import { ERRORS, type ErrorCode, type Retry, type WorkerError } from '../../contract/errors.ts';
import { runIn } from '../../narration/narrate.ts';
import { factsOf } from '../correlation.ts';
import { narrateViolations } from '../native/errors.ts';

/** Statuses of errors in the APIs of OpenAI and Anthropic, where they differ from the worker's own. */
const STATUSES: Partial<Record<ErrorCode, number>> = { PROMPT_TOO_LONG: 400 };

/** HTTP status of an error in a dialect. */
export const statusOf = ({ code, status }: Pick<WorkerError, 'code' | 'status'>): number => STATUSES[code] ?? status;

/**
 * HTTP status of a job that failed after it had begun. A request that ended the engine is 500, and not 503:
 * load balancers send a request to another worker after 503, and this one would end the engine there too.
 */
export function failureStatus({ code, retry }: { readonly code: ErrorCode; readonly retry: Retry }): number {
  const { status } = ERRORS[code];
  return status === 503 && retry === 'never' ? 500 : statusOf({ code, status });
}

/** Narrates the violations of an error. A refusal without violations is narrated where it is decided. */
export function narrateRefusal({ violations }: WorkerError, request: FastifyRequest): void {
  if (violations) runIn(factsOf(request), () => narrateViolations(violations));
}
