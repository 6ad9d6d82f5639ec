/**
 * Begins the span of a request and ends it with its answer. Only routes that run a job have spans. The
 * narration and the job add the rest.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RouteId } from '../../contract/routes.ts';
import type { Operation } from '../../telemetry/traces/gen-ai.ts';
import type { Tracer } from '../../telemetry/traces/tracer.ts';
import { traceOf, traceStateOf } from '../correlation.ts';

/** The routes with spans, and the operation of a request whose body is not known yet. */
const TRACED_ROUTES: Partial<Record<RouteId, Operation>> = {
  execute: 'chat',
  chatCompletions: 'chat',
  completions: 'text_completion',
  responses: 'chat',
  messages: 'chat',
};

/**
 * The hook of a route that begins the span of a request; undefined for a route without spans, and without
 * traces. It runs after the check of the token: a caller without a token makes no spans, so it can neither
 * fill their queue nor the receiver.
 */
export const tracing =
  (tracer: Tracer | undefined) =>
  (id: RouteId): ((request: FastifyRequest, reply: FastifyReply) => Promise<void>) | undefined => {
    const operation = TRACED_ROUTES[id];
    if (!tracer || !operation) return undefined;
    return async (request, reply) => beginTrace(tracer, operation, request, reply);
  };

function beginTrace(tracer: Tracer, operation: Operation, request: FastifyRequest, reply: FastifyReply): void {
  const { socket } = request.raw;
  const parent = traceOf(request.headers);
  const trace = tracer.begin(
    {
      operation,
      method: request.method,
      route: request.routeOptions.url ?? '',
      httpVersion: request.raw.httpVersion,
      address: socket.localAddress,
      port: socket.localPort,
      correlationId: request.id,
    },
    parent && { ...parent, state: traceStateOf(request.headers) },
  );
  request.trace = trace;
  const { raw } = reply;
  raw.once('close', () => trace.answered(raw.headersSent ? raw.statusCode : undefined));
}
