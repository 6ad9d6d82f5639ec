/**
 * GET /metrics: all metrics as Prometheus text.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../../telemetry/metrics.ts';

export function metricsHandler(metrics: Metrics) {
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    reply.type(metrics.contentType).send(await metrics.render());
}
