/**
 * The handler of every route, each with only the parts that it uses.
 */
import type { EngineClient } from '../bridge/client.ts';
import type { Config } from '../config/config.ts';
import type { Announced } from '../contract/callback.ts';
import type { RouteId } from '../contract/routes.ts';
import type { Admission } from '../jobs/admission.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { WorkerIdentity } from '../lifecycle/identity.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { WorkerState } from '../lifecycle/state.ts';
import type { MemoryFigure } from '../telemetry/memory-figure.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracer } from '../telemetry/traces/tracer.ts';
import { anthropicErrors } from './anthropic/errors.ts';
import type { TokenCheck } from './auth.ts';
import { type Handler, lazyFamily } from './dialect/family.ts';
import { cancelHandler } from './native/cancel.ts';
import { executeErrors, sendError } from './native/errors.ts';
import { executeHandler } from './native/execute.ts';
import { eventsHandler } from './native/job-events.ts';
import { openAIErrors } from './openai/errors.ts';
import { announceHandler } from './operator/announce.ts';
import { healthHandler, liveHandler, readyHandler } from './operator/health.ts';
import { jobsHandler } from './operator/jobs.ts';
import { metricsHandler } from './operator/metrics.ts';
import { type ContractFiles, fileHandler } from './operator/openapi.ts';
import { shutdownHandler } from './operator/shutdown.ts';

/** The parts of the worker that the routes use, from the composition root. */
export interface ServerParts {
  readonly config: Config;
  readonly identity: WorkerIdentity;
  readonly state: WorkerState;
  readonly jobs: JobRegistry;
  readonly admission: Admission;
  readonly engine: Pick<EngineClient, 'occupancy' | 'heartbeatAgeMs'>;
  readonly metrics: Metrics;
  /** Undefined if traces are off. */
  readonly tracer?: Tracer | undefined;
  readonly memory: Pick<MemoryFigure, 'bytes' | 'parts'>;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
  /** Requests that the worker drains and stops. `reason` is narrated. */
  readonly shutdown: (reason: string) => void;
  /**
   * Reports the worker to the pool-manager again.
   * @throws WorkerError `NO_CALLBACK` without `--callback-url`
   */
  readonly announce: () => Announced;
}

/**
 * The handlers of all routes, by operation id.
 * @param contract openapi.yaml and openapi.json
 * @param isTrusted true for a caller who may send jobs
 * @throws Error if a file cannot be read
 */
export function handlersOf(
  parts: ServerParts,
  contract: ContractFiles,
  isTrusted: TokenCheck,
): Readonly<Record<RouteId, Handler>> {
  const { config, state, jobs, admission, engine, metrics } = parts;
  const native = (handle: Handler['handle']): Handler => ({ handle, formatError: sendError });
  const openAI = lazyFamily(
    () => import('./openai/handlers.ts').then(({ openAIHandlers }) => openAIHandlers(parts)),
    openAIErrors,
  );
  const anthropic = lazyFamily(
    () => import('./anthropic/family.ts').then(({ anthropicFamily }) => anthropicFamily(parts)),
    anthropicErrors,
  );
  const tokenizer = lazyFamily(
    () => import('./tokenizer/family.ts').then(({ tokenizerFamily }) => tokenizerFamily(parts)),
    openAIErrors,
  );
  return {
    execute: { handle: executeHandler(admission, config), formatError: executeErrors(config.narration) },
    jobEvents: native(eventsHandler(jobs)),
    jobs: native(jobsHandler(jobs)),
    chatCompletions: openAI('chatCompletions'),
    completions: openAI('completions'),
    responses: openAI('responses'),
    models: openAI('models'),
    model: openAI('model'),
    cancel: native(cancelHandler(jobs)),
    shutdown: native(shutdownHandler(state, config.shutdownTimeout, parts.shutdown)),
    announce: native(announceHandler(state, parts.announce)),
    health: native(healthHandler(parts)),
    live: native(liveHandler(config.workerId, engine)),
    ready: native(readyHandler({ config, admission, isTrusted })),
    metrics: native(metricsHandler(metrics)),
    messages: anthropic('messages'),
    countTokens: anthropic('countTokens'),
    tokenize: tokenizer('tokenize'),
    detokenize: tokenizer('detokenize'),
    tokenizerInfo: tokenizer('tokenizerInfo'),
    openapiYaml: native(fileHandler(contract.yaml, 'application/yaml; charset=utf-8')),
    openapiJson: native(fileHandler(contract.json, 'application/json; charset=utf-8')),
  };
}
