/** The status and the narration of a refusal, which all dialects share. */
import type { FastifyRequest } from 'fastify';
import type { ErrorCode, WorkerError } from '../../contract/errors.ts';
import { runIn } from '../../narration/narrate.ts';
import { idsOf } from '../correlation.ts';
import { narrateViolations } from '../native/errors.ts';

/** Statuses of errors in the APIs of OpenAI and Anthropic, where they differ from the worker's own. */
const STATUSES: Partial<Record<ErrorCode, number>> = { PROMPT_TOO_LONG: 400 };

/** HTTP status of an error in a dialect. */
export const statusOf = ({ code, status }: Pick<WorkerError, 'code' | 'status'>): number => STATUSES[code] ?? status;

/** Narrates the violations of an error. A refusal without violations is narrated where it is decided. */
export function narrateRefusal({ violations }: WorkerError, request: FastifyRequest): void {
  if (violations) runIn(idsOf(request), () => narrateViolations(violations));
}
