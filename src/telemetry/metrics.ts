/**
 * What the worker counts, in Prometheus' form. A scrape reads cached state only and never touches the engine.
 * No label is ever a job or correlation id.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type Outcome = 'success' | 'error' | 'cancelled' | 'timeout';

/** What a scrape asks the worker for. */
export interface Gauges {
  readonly running: () => number;
  readonly waiting: () => number;
  /** Tokens in the cache of running sequences ÷ tokens it can hold, 0 … 1. */
  readonly cacheUsage: () => number;
  readonly vramBytes: () => number;
  /** Bytes of all event logs. */
  readonly logBytes: () => number;
  readonly uptimeSeconds: () => number;
}

/** One finished request, whatever its end. Times in milliseconds. */
export interface Account {
  readonly outcome: Outcome;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** Prompt tokens that were kept from an earlier request. */
  readonly tokensCached?: number;
  readonly tokensDrafted?: number;
  readonly tokensAccepted?: number;
  readonly durationMs: number;
  readonly queueMs?: number;
  readonly timeToFirstTokenMs?: number;
  /** From the first token to the last: time per output token excludes the first. */
  readonly decodeMs?: number;
}

const MILLISECONDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = this.#counter('worker_requests_total', 'Requests that were accepted, by their end', ['outcome']);
  readonly #tokensIn = this.#counter('worker_tokens_in_total', 'Prompt tokens of accepted requests');
  readonly #tokensOut = this.#counter('worker_tokens_generated_total', 'Tokens generated');
  readonly #cached = this.#counter('worker_prefix_cache_tokens_total', 'Prompt tokens kept from an earlier request');
  readonly #drafted = this.#counter('worker_tokens_drafted_total', 'Tokens drafted for requests that ran alone');
  readonly #accepted = this.#counter('worker_tokens_accepted_total', 'Drafted tokens that were what decoding gave');
  readonly #duration = this.#histogram(
    'worker_inference_duration_ms',
    'Milliseconds from acceptance to the last event',
  );
  readonly #firstToken = this.#histogram(
    'worker_time_to_first_token_ms',
    'Milliseconds from acceptance to the first token',
  );
  readonly #perToken = this.#histogram('worker_time_per_output_token_ms', 'Milliseconds per token after the first');
  readonly #queueWait = this.#histogram('worker_queue_wait_ms', 'Milliseconds spent waiting for a slot');
  readonly #batch = this.#histogram(
    'worker_batch_size',
    'Sequences computed in the same step, per token',
    [1, 2, 4, 8, 16, 32, 64],
  );
  readonly #narrations = this.#counter('worker_narration_events_total', 'Narrations told, by event', ['event']);
  readonly #shed = this.#counter('worker_narration_shed_total', 'Narrations and metrics held back from slow readers');

  constructor(gauges: Gauges) {
    collectDefaultMetrics({ register: this.#registry });
    this.#gauge('worker_requests_running', 'Requests that hold a slot', gauges.running);
    this.#gauge('worker_requests_waiting', 'Requests that wait for a slot', gauges.waiting);
    this.#gauge('worker_kv_cache_usage_ratio', 'Share of the cache in use, 0 to 1', gauges.cacheUsage);
    this.#gauge('worker_vram_bytes', 'Bytes held on the device; 0 on CPU', gauges.vramBytes);
    this.#gauge('worker_event_log_bytes', 'Bytes of the event logs of all jobs that can be read', gauges.logBytes);
    this.#gauge('worker_uptime_seconds', 'Seconds since start', gauges.uptimeSeconds);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of a scrape. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  narrated(event: string): void {
    this.#narrations.inc({ event });
  }

  shed(count: number): void {
    if (count > 0) this.#shed.inc(count);
  }

  /** Counts one token that was decoded beside `batch - 1` others. */
  token(batch: number): void {
    this.#tokensOut.inc();
    this.#batch.observe(batch);
  }

  finished(account: Account): void {
    this.#requests.inc({ outcome: account.outcome });
    this.#tokensIn.inc(account.tokensIn);
    this.#cached.inc(account.tokensCached ?? 0);
    this.#drafted.inc(account.tokensDrafted ?? 0);
    this.#accepted.inc(account.tokensAccepted ?? 0);
    this.#duration.observe(account.durationMs);
    if (account.queueMs !== undefined) this.#queueWait.observe(account.queueMs);
    if (account.timeToFirstTokenMs !== undefined) this.#firstToken.observe(account.timeToFirstTokenMs);
    if (account.decodeMs !== undefined && account.tokensOut > 1)
      this.#perToken.observe(account.decodeMs / (account.tokensOut - 1));
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[] = MILLISECONDS): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}

/** Resident memory of this process and, as of its first run, of the engine process. */
export function memoryBytes(engineBytes: number): number {
  return process.memoryUsage.rss() + engineBytes;
}
