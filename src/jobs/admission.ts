/**
 * Decides which orders become jobs, and starts their generation. Knows neither HTTP nor a wire format.
 */
import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EngineClient } from '../bridge/client.ts';
import type { Config } from '../config/config.ts';
import { WorkerError } from '../contract/errors.ts';
import type { LoadedModel } from '../lifecycle/load-model.ts';
import type { WorkerState } from '../lifecycle/state.ts';
import { narrate, runIn } from '../narration/narrate.ts';
import { MachineLoad } from '../telemetry/machine-load.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Load, loadOf } from './capacity/capacity.ts';
import { JobDemand } from './capacity/demand.ts';
import { type Encoder, EventLog } from './event-log.ts';
import { Generation } from './generation/generation.ts';
import { type Opened, openOutput } from './generation/resume/resumed-output.ts';
import { GrammarRefusal } from './grammar/grammar-refusal.ts';
import { narrateIgnoredFields } from './ignored-fields.ts';
import { contextOf, Job, newRunId, type RequestFacts } from './job.ts';
import { type GenerationOrder, outputsOf, unitsInAll } from './order.ts';
import { grammarsIn, type Prepared, prepare } from './prompt.ts';
import { LONG_UNITS } from './prompt-ids.ts';
import type { JobRegistry } from './registry.ts';
import { narrateStop } from './stop-outcome.ts';
import type { Subscriber } from './subscriber.ts';
import type { ReadPolicy } from './subscribers.ts';
import { traceFacts } from './traces/trace-facts.ts';

/**
 * Time until a retry if the engine has no estimate: before its first report with all slots busy, and while
 * the model is loading.
 */
const RETRY_MS = 1000;
/**
 * A new job waits this long for the end of a stopped job with the same id: a client that sends its request
 * again after a broken connection gets its stream, and not an error. Most jobs stop within one step of the
 * engine.
 */
export const STOPPING_MS = 100;

/** The parts of the worker that admission uses. */
export interface AdmissionParts {
  readonly config: Pick<
    Config,
    | 'requestTimeout'
    | 'detachTimeout'
    | 'slowTimeout'
    | 'sseHeartbeat'
    | 'queue'
    | 'maxTokensCap'
    | 'narration'
    | 'progressEvery'
    | 'workerId'
  >;
  readonly state: WorkerState;
  readonly jobs: JobRegistry;
  readonly engine: Pick<EngineClient, 'submit' | 'occupancy' | 'slotFreeMs' | 'waitMs' | 'heartbeatAgeMs' | 'pid'>;
  readonly metrics: Metrics;
  /** Undefined until the model is loaded. */
  readonly model: () => LoadedModel | undefined;
}

/** A request in the form that its route produces, independent of the wire format. */
export interface AdmissionRequest {
  readonly order: GenerationOrder;
  readonly facts: RequestFacts;
  /** Wire format of the answer, for the run with this id. */
  readonly encoderOf: (runId: string) => Encoder;
}

/** The first subscriber of an admitted job, and the id of its run. */
export interface Admitted {
  readonly subscriber: Subscriber;
  readonly runId: string;
  /** Resolves when the job has ended. */
  readonly ended: Promise<void>;
}

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #machine: MachineLoad;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#machine = new MachineLoad(() => parts.engine.pid);
  }

  /** The load of the worker at this moment. */
  get load(): Load {
    return loadOf(this.#parts);
  }

  /**
   * The loaded model.
   * @throws WorkerError `LOADING`, `ENGINE_STALLED` or `WORKER_UNHEALTHY`, with a retry time, or `DRAINING`,
   * without one, if no job can be accepted
   */
  requireReady(): LoadedModel {
    const { state, engine, model } = this.#parts;
    const loaded = model();
    if (loaded && state.refusal === undefined) return loaded;
    // A worker that drains does not come back at any time.
    if (state.refusal === 'DRAINING') throw new WorkerError('DRAINING');
    if (loaded && state.refusal === 'ENGINE_STALLED') throw stalledError(engine.heartbeatAgeMs);
    throw new WorkerError(state.refusal ?? 'LOADING', undefined, { retryAfterMs: engine.slotFreeMs ?? RETRY_MS });
  }

  /**
   * Registers a job with its deadline and its first subscriber, prepares the prompt, emits `started` and
   * starts the generation. Resolves when the stream has begun; the generation emits the terminal event
   * later.
   * @param connection the answer of the request, which the subscriber is piped into
   * @throws WorkerError as `requireReady`; `TIMEOUT` if the deadline has passed; `DUPLICATE_JOB` and
   * `ALL_SLOTS_BUSY` with a retry time; for a prompt that the model cannot process, and for a job that was
   * stopped before its start
   */
  async admit({ order, facts, encoderOf }: AdmissionRequest, connection: Writable): Promise<Admitted> {
    const { config, jobs } = this.#parts;
    if (jobs.running(order.jobId)?.stopped) await jobs.ended(order.jobId, STOPPING_MS);
    const model = this.requireReady();
    const { slots } = model.facts;
    const timeoutMs = order.timeoutMs ?? config.requestTimeout * 1000;
    const deadlineMs = (order.deadline ?? Number.POSITIVE_INFINITY) - Date.now();
    if (deadlineMs <= 0) throw deadlinePassed();
    this.#refuseDuplicate(order.jobId);
    this.requireCapacity(slots);
    const runId = newRunId();
    const log = new EventLog(encoderOf(runId), { awaitsStart: true });
    const context = contextOf({ ...facts, jobId: order.jobId, runId }, log, config.narration);
    const policy: ReadPolicy = {
      onDisconnect: order.onDisconnect,
      detachMs: config.detachTimeout * 1000,
      slowMs: config.slowTimeout * 1000,
      keepAliveMs: config.sseHeartbeat * 1000,
      logBytes: jobs.share(slots),
    };
    const job = new Job(context, log, policy, new JobDemand(outputsOf(order), slots));
    const subscriber = job.subscribers.add(0, connection);
    jobs.add(order.jobId, job);
    if (deadlineMs < timeoutMs) job.setDeadline(deadlineMs, 'deadline');
    else job.setDeadline(timeoutMs, 'timeout');
    await runIn(context, () => this.#start(job, order, model));
    return { subscriber, runId, ended: job.released };
  }

  /** Releases the job when it ends, or if its prompt is refused. */
  async #start(job: Job, order: GenerationOrder, model: LoadedModel): Promise<void> {
    const { jobs, config, engine, metrics } = this.#parts;
    const release = (): void => {
      job.clearDeadline();
      jobs.remove(order.jobId);
      metrics.ended();
      job.context.trace?.released();
    };
    metrics.begun();
    job.context.trace?.accepted(traceFacts(order, job.runId));
    let prepared: Opened;
    try {
      // The body of a long prompt took most of this turn: other requests go first.
      if (unitsInAll(order) > LONG_UNITS) await nextTurn();
      const { context } = model.facts;
      const cap = config.maxTokensCap === 'auto' ? context : config.maxTokensCap;
      prepared = await openOutput(await prepare(order, model, cap, job.signal), order, model, job.signal);
    } catch (error) {
      if (error instanceof GrammarRefusal) metrics.grammar('refused');
      job.log.close();
      release();
      throw this.#refusalOf(error, job);
    }
    for (const { cached } of grammarsIn(prepared)) metrics.grammar(cached ? 'cached' : 'compiled');
    const { spec } = model;
    job.log.emit({
      type: 'started',
      job_id: order.jobId,
      run_id: job.runId,
      model: spec.name,
      started_at: new Date().toISOString(),
      seed: prepared.prompts[0]?.sequence.sampling.seed ?? 0,
      ...(order.ids && { fingerprint: prepared.fingerprint?.() }),
      ...(order.resume && { fingerprint: order.resume.fingerprint, resumed_ids: order.resume.ids.length }),
      worker_id: config.workerId,
    });
    narrate('request.validated', { requests_running: jobs.size });
    narrateIgnoredFields(order.ignoredFields);
    reportClamp(order, prepared);
    const { progressEvery } = config;
    const sampleMachine = (maxAgeMs: number) => this.#machine.sample(maxAgeMs);
    const generation = new Generation(job, prepared, model, { engine, metrics, progressEvery, sampleMachine });
    void generation.run().finally(release);
  }

  /** @throws WorkerError `DUPLICATE_JOB` with a retry time if a job with this id is running */
  #refuseDuplicate(jobId: string): void {
    const { jobs, engine } = this.#parts;
    const running = jobs.running(jobId);
    if (!running) return;
    const retryAfterMs = running.stopped ? STOPPING_MS : Math.max(RETRY_MS, engine.waitMs(running.demand.later) ?? 0);
    const state = running.stopped ? 'is being stopped' : 'is already running';
    const message = `A job with this job_id ${state}. Send the request again later, read the running stream at GET /jobs/{job_id}/events, or use another job_id.`;
    const details = { run_id: running.runId, retry_after_ms: Math.ceil(retryAfterMs) };
    throw new WorkerError('DUPLICATE_JOB', message, { details, retryAfterMs });
  }

  /**
   * @param slots the slots of the loaded model
   * @throws WorkerError `ALL_SLOTS_BUSY` with a retry time, the time until a place in the queue is free
   */
  requireCapacity(slots: number): void {
    const { full, slotsFree, queued, expectedWaitMs, acceptedInMs: retryAfterMs = RETRY_MS } = this.load;
    if (!full) return;
    const { config } = this.#parts;
    const details = {
      slots_total: slots,
      slots_busy: slots - slotsFree,
      queue_length: queued,
      queue_limit: config.queue,
      retry_after_ms: retryAfterMs,
      ...(expectedWaitMs !== undefined && { expected_wait_ms: expectedWaitMs }),
    };
    throw new WorkerError('ALL_SLOTS_BUSY', undefined, { details, retryAfterMs });
  }

  /**
   * The error for a job that ended before `started`. Narrates the end, except for violations, which the route
   * narrates, and for a fault of the worker, which the worker narrates.
   */
  #refusalOf(error: unknown, job: Job): unknown {
    if (error instanceof WorkerError) {
      const fields = fieldOf(error);
      if (!error.violations && error.status < 500)
        narrate('request.invalid', { error_kind: error.code.toLowerCase(), field_errors: 1, fields });
      return error;
    }
    if (!job.stopped) return error;
    const { code, outcome, retry } = narrateStop(job, 0);
    this.#parts.metrics.finished({
      outcome,
      tokensIn: 0,
      tokensOut: 0,
      durationMs: performance.now() - job.acceptedAt,
    });
    return new WorkerError(code, undefined, { retry });
  }
}

/** The field of the body that a refusal without violations is about. */
function fieldOf({ code, details }: WorkerError): string {
  if (code === 'TEMPLATE_UNUSABLE') return 'template';
  const field = details?.['field'];
  return typeof field === 'string' ? field : 'prompt';
}

/** Narrates that the outputs may have fewer tokens than the caller has asked for. */
function reportClamp({ maxTokens = 0 }: GenerationOrder, { prompts }: Prepared): void {
  const least = Math.min(...prompts.map(({ sequence }) => sequence.maxTokens));
  if (maxTokens > least) narrate('max_tokens.reduced', { max_tokens_asked: maxTokens, max_tokens: least });
}

/** The estimates of the engine are from before the stall. */
function stalledError(ageMs: number | undefined): WorkerError {
  const details = ageMs === undefined ? {} : { details: { engine_heartbeat_age_ms: Math.round(ageMs) } };
  return new WorkerError('ENGINE_STALLED', undefined, { ...details, retryAfterMs: RETRY_MS });
}

/** The same request is always too late. */
function deadlinePassed(): WorkerError {
  const message = 'The deadline in X-Deadline has already passed; send the request with a later one.';
  return new WorkerError('TIMEOUT', message, { retry: 'never' });
}
