/**
 * Narrates the fields that a request without a job ignores. The job of any other request narrates its own.
 */
import type { FastifyRequest } from 'fastify';
import { narrateIgnoredFields } from '../../jobs/ignored-fields.ts';
import { runIn } from '../../narration/narrate.ts';
import { factsOf } from '../correlation.ts';

export function narrateIgnored(fields: readonly string[], request: FastifyRequest): void {
  runIn(factsOf(request), () => narrateIgnoredFields(fields));
}
