/**
 * Begins the spans of requests, and exports them. Loaded only if traces are on.
 */
import { randomBytes } from 'node:crypto';
import { Counter, type Metric } from '../series.ts';
import { type BatchSettings, DROP_REASONS, type DropReason, Exporter } from './exporter.ts';
import { type RequestFacts, requestAttributes, SCHEMA_URL } from './gen-ai.ts';
import type { SpanLimits } from './open-span.ts';
import type { Receiver } from './post.ts';
import { newSpanId, RequestTrace } from './request-trace.ts';
import { isSampled, type SamplerSettings } from './sampler.ts';
import { type Attributes, requestWriter, spanText } from './span.ts';

/** Name of the scope of all spans, and the default of `service.name`. */
const NAME = 'rbees-workerd';

/** The settings of the environment. */
export interface TracerSettings {
  readonly receiver: Receiver;
  /** Limit of one attempt, in milliseconds. */
  readonly timeoutMs: number;
  readonly batch: BatchSettings;
  readonly sampler: SamplerSettings;
  readonly limits: SpanLimits;
  /** `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`. They replace the worker's own attributes. */
  readonly resource: Readonly<Record<string, string>>;
}

export interface TracerParts {
  readonly settings: TracerSettings;
  readonly version: string;
  readonly workerId: string;
  readonly instanceId: string;
  /** Name of the model, for the names of spans. */
  readonly model: () => string;
  /** Called for each loss of spans. @param cause the last failure, in words */
  readonly onDropped: (spans: number, reason: DropReason, cause: string) => void;
}

/** The caller's span, from the headers `traceparent` and `tracestate`. */
export interface RemoteParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
  readonly state: string | undefined;
}

/** Bit 0 of the flags: sampled. Bit 1: the trace id is random. Other bits are not passed on. */
const SAMPLED = 1;
const RANDOM = 2;

export class Tracer {
  readonly #parts: TracerParts;
  readonly #exporter: Exporter;
  readonly #exported = new Counter('worker_trace_spans_exported_total', 'Spans that the receiver accepted');
  readonly #dropped = new Counter(
    'worker_trace_spans_dropped_total',
    'Spans that were not exported',
    'reason',
    DROP_REASONS,
  );

  constructor(parts: TracerParts) {
    const { settings, version } = parts;
    this.#parts = parts;
    this.#exporter = new Exporter({
      ...settings,
      bodyOf: requestWriter(this.#resource(), { name: NAME, version, schemaUrl: SCHEMA_URL }),
      onExported: (spans) => this.#exported.add(spans),
      onDropped: (spans, reason, cause) => {
        this.#dropped.add(spans, reason);
        parts.onDropped(spans, reason, cause);
      },
    });
  }

  /** The metrics of the export. */
  get metrics(): readonly Metric[] {
    return [this.#exported, this.#dropped];
  }

  /** Begins the SERVER span of a request. */
  begin(facts: RequestFacts, remote: RemoteParent | undefined): RequestTrace {
    const { settings, model } = this.#parts;
    const traceId = remote?.traceId ?? randomBytes(16).toString('hex');
    const parentSampled = remote && (remote.flags & SAMPLED) !== 0;
    const sampled = isSampled(settings.sampler, traceId, parentSampled);
    const trace = new RequestTrace({
      context: {
        traceId,
        spanId: newSpanId(),
        traceFlags: (sampled ? SAMPLED : 0) | (remote ? remote.flags & RANDOM : RANDOM),
        traceState: remote?.state,
      },
      parent: remote && { spanId: remote.spanId, isRemote: true },
      operation: facts.operation,
      model,
      limits: settings.limits,
      emit: sampled ? (span, rank) => this.#exporter.add(spanText(span), rank) : undefined,
    });
    trace.set(requestAttributes(facts, model()));
    return trace;
  }

  /** Begins to export all spans that have ended. */
  flush(): void {
    this.#exporter.flush();
  }

  /** Exports all spans that have ended. Those that are left after `ms` milliseconds are dropped. */
  close(ms: number): Promise<void> {
    return this.#exporter.close(ms);
  }

  #resource(): Attributes {
    const { version, workerId, instanceId, settings } = this.#parts;
    return {
      'service.name': NAME,
      'service.version': version,
      'service.instance.id': instanceId,
      'telemetry.sdk.name': NAME,
      'telemetry.sdk.language': 'nodejs',
      'telemetry.sdk.version': version,
      'process.pid': process.pid,
      'rbees.worker_id': workerId,
      ...settings.resource,
    };
  }
}
