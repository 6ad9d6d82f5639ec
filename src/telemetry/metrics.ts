/**
 * The metrics of the worker in the Prometheus format. A scrape reads cached state and figures of this
 * process, and never calls the engine. No label contains a job id or a correlation id.
 */
import { getHeapStatistics } from 'node:v8';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ProcessFigures } from './process-figures.ts';

export type Outcome = 'success' | 'error' | 'cancelled' | 'timeout';

/** Reasons for which the HTTP server refuses a request or closes a connection. */
export type HttpRefusal = 'unauthorized' | 'forbidden_origin' | 'connection_refused' | 'connection_evicted';

/** Values that a scrape reads from the worker. */
export interface Gauges {
  readonly running: () => number;
  readonly waiting: () => number;
  /** Cached tokens of running sequences divided by the capacity of the cache in tokens, 0 to 1. */
  readonly cacheUsage: () => number;
  readonly vramBytes: () => number;
  /** Memory of the worker and its engine; undefined if it cannot be read. */
  readonly memoryBytes: () => Promise<number | undefined>;
  /** Bytes of all event logs together. */
  readonly logBytes: () => number;
  readonly uptimeSeconds: () => number;
  /** True while the open engine is silent for too long. */
  readonly engineStalled: () => boolean;
  /** Age of the engine's last message; undefined before the first one. */
  readonly heartbeatAgeSeconds: () => number | undefined;
}

/** One finished request of any outcome. Times in milliseconds. */
export interface Account {
  readonly outcome: Outcome;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** Prompt tokens reused from the cache. */
  readonly tokensCached?: number;
  readonly tokensDrafted?: number;
  readonly tokensAccepted?: number;
  readonly durationMs: number;
  readonly queueMs?: number;
  readonly timeToFirstTokenMs?: number;
  /** From the first token to the last, because the time per output token excludes the first one. */
  readonly decodeMs?: number;
}

const MILLISECONDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = this.#counter('worker_requests_total', 'Finished requests, by outcome', ['outcome']);
  readonly #tokensIn = this.#counter('worker_tokens_in_total', 'Prompt tokens of finished requests');
  readonly #tokensOut = this.#counter('worker_tokens_generated_total', 'Generated tokens');
  readonly #cached = this.#counter('worker_prefix_cache_tokens_total', 'Prompt tokens reused from the cache');
  readonly #drafted = this.#counter('worker_tokens_drafted_total', 'Drafted tokens of requests that ran alone');
  readonly #accepted = this.#counter('worker_tokens_accepted_total', 'Drafted tokens that were accepted');
  readonly #duration = this.#histogram(
    'worker_inference_duration_ms',
    'Milliseconds from the acceptance of a request to its last event',
  );
  readonly #firstToken = this.#histogram(
    'worker_time_to_first_token_ms',
    'Milliseconds from the acceptance of a request to its first token',
  );
  readonly #perToken = this.#histogram(
    'worker_time_per_output_token_ms',
    'Milliseconds per generated token, without the first token',
  );
  readonly #queueWait = this.#histogram('worker_queue_wait_ms', 'Milliseconds that a request waited for a slot');
  readonly #batch = this.#histogram(
    'worker_batch_size',
    'Sequences decoded in the same step, observed once per token',
    [1, 2, 4, 8, 16, 32, 64],
  );
  readonly #narrations = this.#counter('worker_narration_events_total', 'Narrations, by event', ['event']);
  readonly #shed = this.#counter(
    'worker_narration_shed_total',
    'Narration and metrics events skipped because all subscribers were slow',
  );
  readonly #refusals = this.#counter('worker_http_refusals_total', 'Refused requests and connections, by reason', [
    'reason',
  ]);

  /** @param figures the figures of this process */
  constructor(gauges: Gauges, figures: ProcessFigures = new ProcessFigures()) {
    collectDefaultMetrics({ register: this.#registry });
    this.#addProcessGauges(figures);
    this.#gauge('worker_requests_running', 'Requests that hold a slot', gauges.running);
    this.#gauge('worker_requests_waiting', 'Requests that wait for a slot', gauges.waiting);
    this.#gauge('worker_kv_cache_usage_ratio', 'Used share of the cache, 0 to 1', gauges.cacheUsage);
    this.#gauge('worker_vram_bytes', 'Bytes used on the device; 0 on the CPU', gauges.vramBytes);
    this.#gauge(
      'worker_memory_bytes',
      'Bytes of memory of the worker and its engine, pages shared with other processes in part (PSS)',
      gauges.memoryBytes,
    );
    this.#gauge('worker_event_log_bytes', 'Bytes of the event logs of all running and finished jobs', gauges.logBytes);
    this.#gauge('worker_uptime_seconds', 'Seconds since the start of the worker', gauges.uptimeSeconds);
    this.#addEngineGauges(gauges);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The answer to a scrape. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Counts one narration. */
  narrated(event: string): void {
    this.#narrations.inc({ event });
  }

  /** Counts skipped narration and metrics events. */
  shed(count: number): void {
    if (count > 0) this.#shed.inc(count);
  }

  /** Counts one refused request, or one connection that was refused or closed for a new one. */
  refused(reason: HttpRefusal): void {
    this.#refusals.inc({ reason });
  }

  /** Counts one token of a step that decoded `batch` sequences. */
  token(batch: number): void {
    this.#tokensOut.inc();
    this.#batch.observe(batch);
  }

  /** Counts one finished request. */
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

  #addEngineGauges({ engineStalled, heartbeatAgeSeconds }: Gauges): void {
    this.#gauge('worker_engine_stalled', '1 while the engine is silent for too long, otherwise 0', () =>
      Number(engineStalled()),
    );
    this.#gauge(
      'worker_engine_heartbeat_age_seconds',
      'Seconds since the last message of the engine',
      heartbeatAgeSeconds,
    );
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[] = MILLISECONDS): Histogram {
    return new Histogram({ name, help, buckets, registers: [this.#registry] });
  }

  /**
   * Replaces those of prom-client that read files of the system: they show 0 or their last value if the
   * reading fails.
   */
  #addProcessGauges(figures: ProcessFigures): void {
    const add = (name: string, help: string, read: () => number | undefined): void => {
      this.#registry.removeSingleMetric(name);
      this.#gauge(name, help, read);
    };
    add('process_resident_memory_bytes', 'Resident memory of the worker process in bytes', () => figures.residentBytes);
    add('nodejs_heap_size_total_bytes', 'Size of the heap in bytes', () => getHeapStatistics().total_heap_size);
    add('nodejs_heap_size_used_bytes', 'Used bytes of the heap', () => getHeapStatistics().used_heap_size);
    add(
      'nodejs_external_memory_bytes',
      'Bytes of memory outside of the heap that its objects hold',
      () => getHeapStatistics().external_memory,
    );
    if (process.platform !== 'linux') return;
    add('process_virtual_memory_bytes', 'Size of the address space in bytes', () => figures.virtualBytes);
    add('process_heap_bytes', 'Size of the data segment in bytes', () => figures.dataBytes);
    add('process_open_fds', 'Number of open file descriptors', () => figures.openFiles);
    add('process_max_fds', 'Maximum number of open file descriptors', () => figures.openFilesLimit);
  }

  /** The series is absent while `read` returns undefined. */
  #gauge(name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        const value = await read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  }
}
