/**
 * GET /metrics: all metrics as Prometheus text.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../../telemetry/metrics.ts';

/**
 * Time for which scrapes share one text, in milliseconds. Monitors scrape every few seconds, and routers
 * every 50 ms.
 */
export const SCRAPE_MS = 100;
/**
 * Maximum age of the metrics of the Node.js process in a text, in milliseconds. They take most of the time of
 * a text, and no router reads them.
 */
export const PROCESS_AGE_MS = 1000;

export function metricsHandler(metrics: Pick<Metrics, 'contentType' | 'render'>) {
  let text: Promise<string> | undefined;
  let at = Number.NEGATIVE_INFINITY;
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const now = performance.now();
    if (text === undefined || now - at >= SCRAPE_MS) {
      at = now;
      text = metrics.render(PROCESS_AGE_MS);
    }
    return reply.type(metrics.contentType).send(await text);
  };
}
