/**
 * GET /health, /live and /ready. The handlers read cached state, so they answer fast under any load. A figure
 * of the system that cannot be read is absent.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EngineClient } from '../../bridge/client.ts';
import type { Config } from '../../config/config.ts';
import type { Health } from '../../contract/answers.ts';
import { refusalOf, WorkerError } from '../../contract/errors.ts';
import type { Admission } from '../../jobs/admission.ts';
import type { Load } from '../../jobs/capacity/capacity.ts';
import { identityFields, type WorkerIdentity } from '../../lifecycle/identity.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import type { WorkerState } from '../../lifecycle/state.ts';
import type { MemoryFigure } from '../../telemetry/memory-figure.ts';
import type { TokenCheck } from '../auth.ts';
import { secondsOf } from '../error-handler.ts';

/** Sources of the body of `/health`. */
export interface HealthSources {
  readonly config: Pick<Config, 'queue'>;
  readonly identity: WorkerIdentity;
  readonly state: WorkerState;
  readonly engine: Pick<EngineClient, 'occupancy' | 'heartbeatAgeMs'>;
  readonly memory: Pick<MemoryFigure, 'bytes' | 'parts'>;
  readonly admission: Pick<Admission, 'load' | 'requireReady'>;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
}

/** The age of the engine's last message; empty before the first one. */
function heartbeatOf({ heartbeatAgeMs: age }: Pick<EngineClient, 'heartbeatAgeMs'>) {
  return age === undefined ? {} : { engine_heartbeat_age_ms: Math.round(age) };
}

/** The load as fields of an answer. */
function loadFields({ accepting, expectedWaitMs, queuedPromptTokens }: Load) {
  return {
    accepting,
    ...(expectedWaitMs !== undefined && { expected_wait_ms: expectedWaitMs }),
    queued_prompt_tokens: queuedPromptTokens,
  };
}

function healthOf({ config, state, engine, memory, model, identity, admission }: HealthSources): Health {
  const loaded = model();
  const { load } = admission;
  const { bytes, parts } = memory;
  return {
    status: state.health,
    worker_id: identity.workerId,
    ...identityFields(identity),
    model: loaded?.spec.name ?? '',
    device: loaded?.facts.device ?? '',
    resident: loaded !== undefined && state.phase !== 'engine_lost',
    vram_bytes: loaded?.facts.deviceBytes ?? 0,
    ...(bytes !== undefined && { memory_bytes: bytes }),
    ...(bytes !== undefined && parts && { own_bytes: parts.own, shared_bytes: parts.shared }),
    quant_kind: loaded?.dtype ?? '',
    tokenizer_kind: loaded?.spec.tokenizerKind ?? '',
    vocab_size: loaded?.spec.vocabSize ?? 0,
    context_length: loaded?.facts.context ?? 0,
    uptime_seconds: Math.round(state.uptimeSeconds * 1000) / 1000,
    slots: { total: loaded?.facts.slots ?? 0, busy: engine.occupancy.busy },
    queue: { length: load.queued, limit: config.queue },
    ...loadFields(load),
    ...heartbeatOf(engine),
    ...(loaded?.profile && { chat_template: loaded.profile }),
    capabilities: ['text-gen'],
    protocol: 'sse',
    version: identity.version,
  };
}

/** 200 while the worker is ready, otherwise 503 with the time until a retry; the same body in both cases. */
export function healthHandler(sources: HealthSources) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refusal = refusalOf(() => sources.admission.requireReady());
    if (refusal?.retryAfterMs !== undefined) reply.header('Retry-After', secondsOf(refusal.retryAfterMs));
    return reply.code(refusal === undefined ? 200 : 503).send(healthOf(sources));
  };
}

/**
 * 200 as long as the process can answer, even without an engine. Reports the age of the engine's last
 * message.
 */
export function liveHandler(workerId: string, engine: Pick<EngineClient, 'heartbeatAgeMs'>) {
  return (_request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    reply.send({ status: 'alive', worker_id: workerId, ...heartbeatOf(engine) });
}

/** Time until a retry for a caller without the token, while the worker is full. */
const STRANGER_RETRY_MS = 1000;

interface ReadySources {
  readonly config: Pick<Config, 'workerId' | 'readyWhenFull'>;
  readonly admission: Pick<Admission, 'load' | 'requireReady' | 'requireCapacity'>;
  /** True if the caller may send jobs. Other callers learn if a job would be accepted, and no figures. */
  readonly isTrusted: TokenCheck;
}

/**
 * 200 while the worker is ready. A full worker is ready, unless `--ready-when-full` is false.
 * @throws WorkerError, from the handler: the reason why jobs are refused, such as `LOADING`
 */
export function readyHandler({ config, admission, isTrusted }: ReadySources) {
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { facts } = admission.requireReady();
    const full = config.readyWhenFull ? undefined : refusalOf(() => admission.requireCapacity(facts.slots));
    const { accepting, ...figures } = loadFields(admission.load);
    const body = { status: 'ready', worker_id: config.workerId, accepting };
    if (isTrusted(request)) {
      if (full) throw full;
      return reply.send({ ...body, ...figures });
    }
    if (full) throw withoutFigures(full);
    return reply.send(body);
  };
}

/** The error without figures of the load. The time until a retry is an estimate of the load. */
const withoutFigures = ({ code }: WorkerError): WorkerError =>
  new WorkerError(code, undefined, { retryAfterMs: STRANGER_RETRY_MS });
