/**
 * GET /metrics: Prometheus text.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Service } from '../service.ts';

export function metricsHandler({ metrics }: Service) {
  return async (_request: FastifyRequest, reply: FastifyReply) =>
    reply.type(metrics.contentType).send(await metrics.render());
}
