/**
 * Narrates the fields that a request without a job ignores. The job of any other request narrates its own.
 */
import type { FastifyRequest } from 'fastify';
import { narrate, runIn } from '../../narration/narrate.ts';
import { idsOf } from '../correlation.ts';

export function narrateIgnored(fields: readonly string[], request: FastifyRequest): void {
  if (fields.length > 0) runIn(idsOf(request), () => narrate('fields.ignored', { fields: fields.join(', ') }));
}
