/**
 * Begins the span of a request and ends it with its answer. Only routes that run a job have spans. The
 * narration and the job add the rest.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RouteId } from '../../contract/routes.ts';
import { holdsSecret } from '../../narration/sanitize.ts';
import type { Operation } from '../../telemetry/traces/gen-ai.ts';
import type { Tracer } from '../../telemetry/traces/tracer.ts';
import { traceOf } from '../correlation.ts';

/** The routes with spans, and the operation of a request whose body is not known yet. */
export const TRACED_ROUTES: Partial<Record<RouteId, Operation>> = {
  execute: 'chat',
  chatCompletions: 'chat',
  completions: 'text_completion',
  responses: 'chat',
  messages: 'chat',
};

/** Members of `tracestate`: printable ASCII, 512 characters at most (W3C Trace Context, section 3.3). */
const TRACE_STATE = /^[\x20-\x7e]{1,512}$/;

/** Begins the span of a request. Call it before any check that can refuse the request. */
export function beginTrace(tracer: Tracer, request: FastifyRequest, reply: FastifyReply): void {
  const { operation } = request.routeOptions.config;
  if (operation === undefined) return;
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
    parent && { ...parent, state: stateOf(request) },
  );
  request.trace = trace;
  const { raw } = reply;
  raw.once('close', () => trace.answered(raw.headersSent ? raw.statusCode : undefined));
}

/** The header `tracestate`, which belongs to the parent: kept as it is, or left out. */
function stateOf({ headers }: FastifyRequest): string | undefined {
  const given = headers['tracestate'];
  const state = typeof given === 'string' ? given : given?.join(',');
  return state !== undefined && TRACE_STATE.test(state) && !holdsSecret(state) ? state : undefined;
}
