/** Parts of a worker for tests that need only one of them: neutral values, and streams that tests control. */
import { Writable } from 'node:stream';
import type { ReadyNotice } from '../../src/contract/callback.ts';
import { sseEncoder } from '../../src/http/sse.ts';
import type { JobDemand } from '../../src/jobs/capacity/demand.ts';
import type { Encoder } from '../../src/jobs/event-log.ts';
import { EventLog } from '../../src/jobs/event-log.ts';
import { Job } from '../../src/jobs/job.ts';
import type { ReadPolicy } from '../../src/jobs/subscribers.ts';
import type { LoadedModel } from '../../src/lifecycle/load-model.ts';
import type { Narration } from '../../src/narration/narrate.ts';
import type { Finish } from '../../src/protocol/messages.ts';
import { NEUTRAL, type Sampling } from '../../src/protocol/sampling.ts';
import type { Gauges } from '../../src/telemetry/gauges.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import type { RequestTrace } from '../../src/telemetry/traces/request-trace.ts';
import { ChatTemplates } from '../../src/text/template/chat-templates.ts';

/** Temperature 1 and no filter or penalty, with a fixed seed. */
export const NEUTRAL_SAMPLING: Sampling = { ...NEUTRAL, seed: 1 };

/** The body of a ready callback. */
export const READY_NOTICE: ReadyNotice = {
  worker_id: 'w',
  instance_id: '7a4be4a6-9d3c-4a0e-8a43-5a2b54cf2e0b',
  pid: 4242,
  started_at: '2026-01-31T12:00:00.000Z',
  model: 'haiku',
  model_ref: 'haiku',
  url: 'http://127.0.0.1:1',
  uri: 'http://127.0.0.1:1',
  device: 'cpu',
  slots: 4,
  context_length: 512,
  vram_bytes: 0,
  memory_bytes: 1,
  capabilities: ['text-gen'],
  protocol: 'sse',
  version: '0.1.0',
  schema_version: 2,
  announcement: 1,
  reason: 'started',
};

const FINISHED = { cachedTokens: 0, drafted: 0, accepted: 0, timings: { queueMs: 0, prefillMs: 1, decodeMs: 2 } };

/** The end of a sequence without a failure. */
export const finish = (reason: 'max_tokens' | 'eos' | 'cancelled'): Finish => ({ reason, ...FINISHED });

/** The end of a sequence that the runtime could not compute. */
export const failure = (reason: 'failed' | 'out_of_memory', message: string): Finish => ({
  reason,
  message,
  ...FINISHED,
});

const zero = (): number => 0;
/** The values of a worker without an engine. */
export const NO_GAUGES: Gauges = {
  running: zero,
  waiting: zero,
  slots: zero,
  queueLimit: zero,
  cache: () => ({ usage: 0, usedBytes: 0, budgetBytes: 0, budgetTokens: 0, evictions: 0 }),
  vramBytes: zero,
  memoryBytes: async () => 0,
  memoryLimitBytes: zero,
  logBytes: zero,
  uptimeSeconds: zero,
  engineOpen: () => false,
  engineStalled: () => false,
  heartbeatAgeSeconds: () => undefined,
  linesLost: zero,
};

/** Metrics of a worker without an engine. */
export const idleMetrics = (): Metrics => new Metrics(NO_GAUGES);

const POLICY: ReadPolicy = { onDisconnect: 'cancel', detachMs: 1000, slowMs: 1000, keepAliveMs: 15_000, logBytes: 1e6 };

interface FakeJobOptions {
  readonly encoder?: Encoder;
  readonly awaitsStart?: boolean;
  readonly jobId?: string;
  readonly demand?: JobDemand;
  readonly trace?: RequestTrace;
}

/** A job whose narrations go into its log, in the native format unless `encoder` is given. */
export function fakeJob(
  correlationId: string,
  {
    encoder = sseEncoder(correlationId),
    awaitsStart = false,
    jobId = 'job-1',
    demand,
    trace,
    ...policy
  }: Partial<ReadPolicy> & FakeJobOptions = {},
): Job {
  const log = new EventLog(encoder, { awaitsStart });
  const onNarration = (told: Narration): void => log.emit({ type: 'narration', ...told });
  return new Job({ correlationId, jobId, onNarration, ...(trace && { trace }) }, log, { ...POLICY, ...policy }, demand);
}

interface FakeModelOptions {
  readonly slots?: number;
  readonly context?: number;
  /** The error of every prompt. */
  readonly refusal?: Error | undefined;
}

/** A loaded model with the fields that admission and prompts read. Each character is one token. */
export function fakeModel({ slots = 1, context = 64, refusal }: FakeModelOptions = {}): LoadedModel {
  const encode = async (text: string, { signal }: { signal: AbortSignal }): Promise<number[]> => {
    await new Promise((resolve) => setImmediate(resolve));
    signal.throwIfAborted();
    if (refusal) throw refusal;
    return [...text].map((_, index) => index);
  };
  const model = {
    spec: { name: 'fake', eosIds: [3], sampling: NEUTRAL_SAMPLING },
    dtype: 'fp32',
    facts: { slots, context, idLimit: Number.POSITIVE_INFINITY, deviceBytes: 0 },
    tokenizer: { encode, decode: () => '', isVisible: () => true },
    templates: new ChatTemplates([]),
  };
  return model as unknown as LoadedModel;
}

/** A socket that accepts every write while it is open, and one write per `step` while it is blocked. */
export class FakeSocket extends Writable {
  received = '';
  #open = true;
  #blocked: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 16 * 1024 });
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    const take = (): void => {
      this.received += String(chunk);
      done();
    };
    if (this.#open) take();
    else this.#blocked = take;
  }

  block(): void {
    this.#open = false;
  }

  /** Accepts one more write. */
  step(): void {
    const take = this.#blocked;
    this.#blocked = undefined;
    take?.();
  }

  unblock(): void {
    this.#open = true;
    this.step();
  }
}
