/**
 * Health and probes: cached state only, so that they answer in the middle of any load.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Health } from '../../contract/answers.ts';
import { WorkerError } from '../../contract/errors.ts';
import { memoryBytes } from '../../telemetry/metrics.ts';
import { sendError } from '../native/errors.ts';
import type { Service } from '../service.ts';

/** The body of `/health`. */
function healthOf({ config, state, engine, model, version }: Service): Health {
  const loaded = model();
  const { busy, waiting } = engine.occupancy;
  return {
    status: state.health,
    worker_id: config.workerId,
    model: loaded?.spec.name ?? '',
    device: loaded?.facts.device ?? '',
    resident: loaded !== undefined && state.phase !== 'engine_lost',
    vram_bytes: loaded?.facts.deviceBytes ?? 0,
    memory_bytes: memoryBytes(loaded?.facts.residentBytes ?? 0),
    quant_kind: loaded?.dtype ?? '',
    tokenizer_kind: loaded?.spec.tokenizerKind ?? '',
    vocab_size: loaded?.spec.vocabSize ?? 0,
    context_length: loaded?.facts.context ?? 0,
    uptime_seconds: Math.round(state.uptimeSeconds * 1000) / 1000,
    slots: { total: loaded?.facts.slots ?? 0, busy },
    queue: { length: waiting, limit: config.queue },
    capabilities: ['text-gen'],
    protocol: 'sse',
    version,
  };
}

export function healthHandler(service: Service) {
  return (_request: FastifyRequest, reply: FastifyReply) =>
    reply.code(service.state.phase === 'ready' ? 200 : 503).send(healthOf(service));
}

/** Alive as long as it answers, also while the engine is away; how long nothing was heard of the engine rides along. */
export function liveHandler({ config, engine }: Service) {
  return (_request: FastifyRequest, reply: FastifyReply) => {
    const age = engine.heartbeatAgeMs;
    const heartbeat = age === undefined ? undefined : { engine_heartbeat_age_ms: Math.round(age) };
    return reply.send({ status: 'alive', worker_id: config.workerId, ...heartbeat });
  };
}

export function readyHandler({ state, config }: Service) {
  return (_request: FastifyRequest, reply: FastifyReply) => {
    if (state.refusal !== undefined) return sendError(reply, new WorkerError(state.refusal));
    return reply.send({ status: 'ready', worker_id: config.workerId });
  };
}
