/**
 * GET /metrics: all metrics as Prometheus text.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../../telemetry/metrics.ts';

/**
 * Time for which scrapes share one text, in milliseconds. A scrape takes about 2 ms of the event loop, so
 * that any number of scrapes takes at most some 2 % of it. Monitors scrape every few seconds.
 */
export const SCRAPE_MS = 100;

export function metricsHandler(metrics: Pick<Metrics, 'contentType' | 'render'>) {
  let text: Promise<string> | undefined;
  let at = Number.NEGATIVE_INFINITY;
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const now = performance.now();
    if (text === undefined || now - at >= SCRAPE_MS) {
      at = now;
      text = metrics.render();
    }
    return reply.type(metrics.contentType).send(await text);
  };
}
