/**
 * POST /execute: one request from its body to the first byte of its stream. What follows is http/generate's.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/config.ts';
import { ERRORS, type Violation, WorkerError } from '../../contract/errors.ts';
import type { ExecuteRequest } from '../../contract/execute.ts';
import { EventLog, SSE_HEADERS } from '../../jobs/event-log.ts';
import { Generation } from '../../jobs/generation.ts';
import { Job } from '../../jobs/job.ts';
import { type Prepared, prepare } from '../../jobs/prompt.ts';
import { narrateStop } from '../../jobs/stop-outcome.ts';
import type { LoadedModel } from '../../lifecycle/load-model.ts';
import { type Narration, narrate, type RequestContext, runIn } from '../../narration/narrate.ts';
import { traceOf } from '../correlation.ts';
import type { Service } from '../service.ts';
import { executeChecker } from '../validate.ts';
import { sendError } from './errors.ts';

/** When to try again where the engine has no estimate: before the first report of a full house, and while a model is loaded. */
const RETRY_MS = 1000;

/** The handler of `POST /execute`. */
export function executeHandler(service: Service) {
  const { config, state, jobs } = service;
  const check = executeChecker({ promptChars: config.maxPromptChars, maxTokens: config.maxTokensCap });
  check({}); // the first use compiles the schema: 4 ms that no request should wait for
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const model = service.model();
    if (state.refusal !== undefined || !model) return refuseWork(service, reply);
    const checked = check(request.body);
    const deadline = deadlineOf(request.headers['x-deadline']);
    const violations = [...(checked.ok ? [] : checked.violations), ...(deadline instanceof Date ? [] : deadline)];
    if (!checked.ok || !(deadline instanceof Date)) return refuseInvalid(service, request, reply, violations);
    const allowedMs = Math.min(
      checked.value.timeout_ms ?? config.requestTimeout * 1000,
      deadline.getTime() - Date.now(),
    );
    if (allowedMs <= 0)
      return sendError(reply, new WorkerError('TIMEOUT', 'The X-Deadline of this request has already passed.'));
    jobs.refuseDuplicate(checked.value.job_id);
    // Sequences whose callers have gone without the engine's word take up room until it speaks again.
    const { busy, waiting } = service.engine.occupancy;
    if (Math.max(jobs.size, busy + waiting) >= model.facts.slots + config.queue) return refuseWork(service, reply);

    const stream = new EventLog(request.id, { awaitsStart: true });
    const story = contextOf(request, checked.value.job_id, stream, config.narration);
    const job = new Job(story, stream, {
      onDisconnect: checked.value.on_disconnect ?? 'cancel',
      detachMs: config.detachTimeout * 1000,
      slowMs: config.slowTimeout * 1000,
      logBytes: jobs.share(model.facts.slots),
    });
    return runIn(story, () =>
      accept(service, model, { request, reply, body: checked.value, unknown: checked.unknown, allowedMs, job }),
    );
  };
}

interface Accepted {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly body: ExecuteRequest;
  readonly unknown: readonly string[];
  readonly allowedMs: number;
  readonly job: Job;
}

/** Gives the job its place, prepares its numbers, begins its stream. What fails before the stream begins is answered as JSON. */
async function accept(
  service: Service,
  model: LoadedModel,
  { request, reply, body, unknown, allowedMs, job }: Accepted,
): Promise<unknown> {
  const { jobs, config } = service;
  jobs.add(body.job_id, job);
  const alarm = setTimeout(() => job.stop('timeout'), allowedMs);
  const reader = job.subscribers.add(0, reply.raw);
  const leave = (): void => {
    clearTimeout(alarm);
    jobs.remove(body.job_id);
  };
  let prepared: Prepared;
  try {
    prepared = await prepare(body, model, config.maxTokensCap, job.signal);
  } catch (error) {
    job.log.close();
    leave();
    if (error instanceof WorkerError) return refusePrompt(service, request, reply, error);
    if (job.stopped) return refuseStopped(service, reply, job);
    throw error;
  }
  job.log.emit('started', {
    job_id: body.job_id,
    model: model.spec.name,
    started_at: new Date().toISOString(),
    seed: prepared.sequence.sampling.seed,
    worker_id: config.workerId,
  });
  narrate('request.validated', { requests_running: jobs.size });
  if (unknown.length > 0) narrate('fields.ignored', { fields: unknown.join(', ') });
  // The generation runs beside the answer: it ends its stream itself and does not depend on anybody reading it.
  void new Generation(job, prepared, model, service).run().finally(leave);
  if (reader.destroyed) return reply.hijack(); // it left while the prompt was read, and the job goes on without it
  return reply.headers(SSE_HEADERS).send(reader);
}

/** The ids of the request's story, and how much of each narration its stream hears (`--narration`). */
function contextOf(
  request: FastifyRequest,
  jobId: string | undefined,
  stream: EventLog,
  mode: Config['narration'],
): RequestContext {
  const onNarration = (narration: Narration): void => {
    if (mode === 'full') stream.emit('narration', narration);
    if (mode === 'human') stream.emit('narration', { ...narration, cute: undefined, story: undefined });
  };
  return { correlationId: request.id, ...(jobId !== undefined && { jobId }), ...traceOf(request.headers), onNarration };
}

/**
 * 503 with when to come back: when all slots are taken, when the engine expects one to be free, and with it a place in the queue. The
 * header is in whole seconds, at least one.
 */
function refuseWork({ config, state, engine, model }: Service, reply: FastifyReply): unknown {
  const waitMs = state.phase === 'draining' ? config.shutdownTimeout * 1000 : (engine.slotFreeMs ?? RETRY_MS);
  void reply.header('Retry-After', Math.max(1, Math.ceil(waitMs / 1000)));
  if (state.refusal !== undefined) return sendError(reply, new WorkerError(state.refusal));
  const { busy, waiting } = engine.occupancy;
  const details = {
    slots_total: model()?.facts.slots ?? 0,
    slots_busy: busy,
    queue_length: waiting,
    queue_limit: config.queue,
    retry_after_ms: Math.ceil(waitMs),
  };
  return sendError(reply, new WorkerError('ALL_SLOTS_BUSY', undefined, { details }));
}

/** A prompt that the model cannot take: known only once it was rendered and tokenized. */
function refusePrompt(service: Service, request: FastifyRequest, reply: FastifyReply, error: WorkerError): unknown {
  if (error.violations) return refuseInvalid(service, request, reply, error.violations);
  narrate('request.invalid', { error_kind: error.code.toLowerCase(), field_errors: 1, fields: 'prompt' });
  return sendError(reply, error);
}

/** Stopped while its prompt was tokenized: the error that would have ended the stream, before one has begun. */
function refuseStopped({ metrics, config }: Service, reply: FastifyReply, job: Job): unknown {
  const { code, outcome } = narrateStop(job, 0);
  metrics.finished({ outcome, tokensIn: 0, tokensOut: 0, durationMs: performance.now() - job.acceptedAt });
  if (code === 'DRAINING') void reply.header('Retry-After', config.shutdownTimeout);
  return sendError(reply, new WorkerError(code));
}

/**
 * 400 with every broken rule. A caller that accepts an event stream gets the SSE form, so that the user's screen can show it:
 * the narration of the failure, then `error`.
 */
export function refuseInvalid(
  { config }: Pick<Service, 'config'>,
  request: FastifyRequest,
  reply: FastifyReply,
  violations: readonly Violation[],
): unknown {
  const stream = new EventLog(request.id);
  const story = contextOf(request, jobIdOf(request.body), stream, config.narration);
  const fields = [...new Set(violations.map((violation) => violation.field))].join(', ');
  runIn(story, () =>
    narrate('request.invalid', { error_kind: 'validation_failed', field_errors: violations.length, fields }),
  );
  const message = violations
    .map((violation) => violation.message)
    .join('; ')
    .slice(0, 2000);
  if (!/\btext\/event-stream\b/i.test(request.headers.accept ?? '')) {
    return sendError(reply, new WorkerError('INVALID_REQUEST', message, { violations }));
  }
  stream.emit('error', { code: 'INVALID_REQUEST', message, retriable: ERRORS.INVALID_REQUEST.retriable });
  return reply.code(400).headers(SSE_HEADERS).send(stream.text);
}

/** The job id of a body that may be anything, for the narration of its failure. */
function jobIdOf(body: unknown): string | undefined {
  const id = (body as { job_id?: unknown } | null | undefined)?.job_id;
  return typeof id === 'string' && id.length > 0 ? id : undefined;
}

/** The moment of an `X-Deadline` header (epoch milliseconds or ISO 8601); a far one when there is none; violations when it is neither. */
function deadlineOf(header: string | string[] | undefined): Date | readonly Violation[] {
  if (header === undefined) return new Date(8.64e15);
  const text = String(header).trim();
  const date = /^\d{1,16}$/.test(text)
    ? new Date(Number(text))
    : new Date(/^\d{4}-\d{2}-\d{2}T/.test(text) ? text : Number.NaN);
  if (!Number.isNaN(date.getTime())) return date;
  const message = 'X-Deadline must be epoch milliseconds or an ISO 8601 time such as 2026-01-31T12:00:00Z';
  return [{ field: 'X-Deadline', constraint: 'format', message, value: text.slice(0, 64) }];
}
