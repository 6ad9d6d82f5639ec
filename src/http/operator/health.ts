/**
 * GET /health, /live and /ready. The handlers read cached state, so they answer fast under any load. A figure
 * of the system that cannot be read is absent.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EngineClient } from '../../bridge/client.ts';
import type { Config } from '../../config/config.ts';
import type { Health } from '../../contract/answers.ts';
import { WorkerError } from '../../contract/errors.ts';
import { identityFields, type WorkerIdentity } from '../../lifecycle/identity.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import type { WorkerState } from '../../lifecycle/state.ts';
import type { MemoryFigure } from '../../telemetry/memory-figure.ts';

/** Sources of the body of `/health`. */
export interface HealthSources {
  readonly config: Pick<Config, 'queue'>;
  readonly identity: WorkerIdentity;
  readonly state: WorkerState;
  readonly engine: Pick<EngineClient, 'occupancy'>;
  readonly memory: Pick<MemoryFigure, 'bytes'>;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
}

function healthOf({ config, state, engine, memory, model, identity }: HealthSources): Health {
  const loaded = model();
  const { busy, waiting } = engine.occupancy;
  const { bytes } = memory;
  return {
    status: state.health,
    worker_id: identity.workerId,
    ...identityFields(identity),
    model: loaded?.spec.name ?? '',
    device: loaded?.facts.device ?? '',
    resident: loaded !== undefined && state.phase !== 'engine_lost',
    vram_bytes: loaded?.facts.deviceBytes ?? 0,
    ...(bytes !== undefined && { memory_bytes: bytes }),
    quant_kind: loaded?.dtype ?? '',
    tokenizer_kind: loaded?.spec.tokenizerKind ?? '',
    vocab_size: loaded?.spec.vocabSize ?? 0,
    context_length: loaded?.facts.context ?? 0,
    uptime_seconds: Math.round(state.uptimeSeconds * 1000) / 1000,
    slots: { total: loaded?.facts.slots ?? 0, busy },
    queue: { length: waiting, limit: config.queue },
    capabilities: ['text-gen'],
    protocol: 'sse',
    version: identity.version,
  };
}

/** 200 if jobs are accepted, otherwise 503; the same body in both cases. */
export function healthHandler(sources: HealthSources) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    reply.code(sources.state.phase === 'ready' ? 200 : 503).send(healthOf(sources));
}

/**
 * 200 as long as the process can answer, even without an engine. Reports the age of the engine's last
 * message.
 */
export function liveHandler(workerId: string, engine: Pick<EngineClient, 'heartbeatAgeMs'>) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const age = engine.heartbeatAgeMs;
    const heartbeat = age === undefined ? undefined : { engine_heartbeat_age_ms: Math.round(age) };
    return reply.send({ status: 'alive', worker_id: workerId, ...heartbeat });
  };
}

/** @throws WorkerError, from the handler: the reason why jobs are refused, such as `LOADING` */
export function readyHandler(workerId: string, state: WorkerState) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (state.refusal !== undefined) throw new WorkerError(state.refusal);
    return reply.send({ status: 'ready', worker_id: workerId });
  };
}
