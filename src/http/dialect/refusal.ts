/** Narrates the refusal of a dialect's request, before a job exists. */
import type { FastifyRequest } from 'fastify';
import type { WorkerError } from '../../contract/errors.ts';
import { runIn } from '../../narration/narrate.ts';
import { idsOf } from '../correlation.ts';
import { narrateViolations } from '../native/errors.ts';

/** Narrates the violations of an error. A refusal without violations is narrated where it is decided. */
export function narrateRefusal({ violations }: WorkerError, request: FastifyRequest): void {
  if (violations) runIn(idsOf(request), () => narrateViolations(violations));
}
