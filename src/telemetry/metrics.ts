/**
 * The metrics of the worker in the Prometheus format. A scrape reads cached state and figures of this
 * process, and never calls the engine. No label contains a job id or a correlation id.
 */
import { LoopLag } from './loop-lag.ts';
import { ProcessFigures } from './process-figures.ts';
import { ProcessMetrics } from './process-metrics.ts';
import { Counter, Gauge, Histogram, type Metric } from './series.ts';

export type Outcome = 'success' | 'error' | 'cancelled' | 'timeout';

/** Reasons for which the HTTP server refuses a request or closes a connection. */
export type HttpRefusal = 'unauthorized' | 'forbidden_origin' | 'connection_refused' | 'connection_evicted';

/** How a request got the grammar of its output: `refused` if it has none that can be compiled. */
export type GrammarOutcome = 'compiled' | 'cached' | 'refused';

/** The memory of the KV cache. */
export interface CacheFigures {
  /** Share of the budget that the tokens of running sequences need, 0 to 1. */
  readonly usage: number;
  /** Bytes that running sequences and stored prefixes hold. */
  readonly usedBytes: number;
  readonly budgetBytes: number;
  /** Prefixes of ended requests that were dropped since the start of the worker. */
  readonly evictions: number;
}

/** Values that a scrape reads from the worker. */
export interface Gauges {
  readonly running: () => number;
  readonly waiting: () => number;
  readonly cache: () => CacheFigures;
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
  /** Tokens for which a grammar left no choice. */
  readonly tokensForced?: number;
  readonly durationMs: number;
  readonly queueMs?: number;
  readonly timeToFirstTokenMs?: number;
  /** From the first token to the last, because the time per output token excludes the first one. */
  readonly decodeMs?: number;
}

const MILLISECONDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];

/** The media type of the format. */
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class Metrics {
  readonly #metrics: Metric[] = [];
  readonly #lag = new LoopLag();
  readonly #readMemory: Gauges['memoryBytes'];
  /** The figure of the scrape that is answered. */
  #memoryBytes: number | undefined;
  readonly #ofProcess: ProcessMetrics;
  readonly #requests = this.#counter('worker_requests_total', 'Finished requests, by outcome', 'outcome');
  readonly #interrupted = this.#counter(
    'worker_requests_interrupted_total',
    'Outputs that lost their slot with a lost engine, and waited for the next one',
  );
  readonly #resumed = this.#counter(
    'worker_requests_resumed_total',
    'Outputs that went on after an interruption, a test of suspects or a preemption',
  );
  readonly #preempted = this.#counter(
    'worker_requests_preempted_total',
    'Outputs that gave back their slot and their memory for others, and continued later',
  );
  readonly #tokensIn = this.#counter('worker_tokens_in_total', 'Prompt tokens of finished requests');
  readonly #tokensOut = this.#counter('worker_tokens_generated_total', 'Generated tokens');
  readonly #cached = this.#counter('worker_prefix_cache_tokens_total', 'Prompt tokens reused from the cache');
  readonly #drafted = this.#counter('worker_tokens_drafted_total', 'Drafted tokens of requests that ran alone');
  readonly #accepted = this.#counter('worker_tokens_accepted_total', 'Drafted tokens that were accepted');
  readonly #forced = this.#counter('worker_tokens_forced_total', 'Generated tokens for which a grammar left no choice');
  readonly #grammars = this.#counter('worker_grammars_total', 'Grammars that requests needed, by outcome', 'outcome');
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
  readonly #narrations = this.#counter('worker_narration_events_total', 'Narrations, by event', 'event');
  readonly #shed = this.#counter(
    'worker_narration_shed_total',
    'Narration and metrics events skipped because all subscribers were slow',
  );
  readonly #refusals = this.#counter(
    'worker_http_refusals_total',
    'Refused requests and connections, by reason',
    'reason',
  );

  /** @param figures the figures of this process */
  constructor(gauges: Gauges, figures: ProcessFigures = new ProcessFigures()) {
    this.#readMemory = gauges.memoryBytes;
    this.#ofProcess = new ProcessMetrics(figures, this.#lag);
    this.#gauge('worker_requests_running', 'Requests that hold a slot', gauges.running);
    this.#gauge('worker_requests_waiting', 'Requests that wait for a slot', gauges.waiting);
    this.#addCacheGauges(gauges);
    this.#gauge('worker_vram_bytes', 'Bytes used on the device; 0 on the CPU', gauges.vramBytes);
    this.#gauge(
      'worker_memory_bytes',
      'Bytes of memory of the worker and its engine, pages shared with other processes in part (PSS)',
      () => this.#memoryBytes,
    );
    this.#gauge('worker_event_log_bytes', 'Bytes of the event logs of all running and finished jobs', gauges.logBytes);
    this.#gauge('worker_uptime_seconds', 'Seconds since the start of the worker', gauges.uptimeSeconds);
    this.#addEngineGauges(gauges);
  }

  /** Adds the metrics of a part that not every worker has. */
  include(metrics: readonly Metric[]): void {
    this.#metrics.push(...metrics);
  }

  get contentType(): string {
    return CONTENT_TYPE;
  }

  /** The answer to a scrape. */
  async render(): Promise<string> {
    this.#memoryBytes = await this.#readMemory();
    return [...this.#metrics.map((metric) => metric.text()), await this.#ofProcess.text()].join('\n');
  }

  /** Call when a request begins. */
  begun(): void {
    this.#lag.begin();
  }

  /** Call once for each `begun`, when the request has ended. */
  ended(): void {
    this.#lag.end();
  }

  /** Counts one narration. */
  narrated(event: string): void {
    this.#narrations.add(1, event);
  }

  /** Counts skipped narration and metrics events. */
  shed(count: number): void {
    if (count > 0) this.#shed.add(count);
  }

  /** Counts one refused request, or one connection that was refused or closed for a new one. */
  refused(reason: HttpRefusal): void {
    this.#refusals.add(1, reason);
  }

  /** Counts one grammar that a request needed. */
  grammar(outcome: GrammarOutcome): void {
    this.#grammars.add(1, outcome);
  }

  /** Counts one output that has lost its slot with its engine, and is continued. */
  interrupted(): void {
    this.#interrupted.add(1);
  }

  /** Counts one output that goes on after an interruption. */
  resumed(): void {
    this.#resumed.add(1);
  }

  /** Counts one output that has given back its slot and its memory. */
  preempted(): void {
    this.#preempted.add(1);
  }

  /** Counts one token of a step that decoded `batch` sequences. */
  token(batch: number): void {
    this.#tokensOut.add(1);
    this.#batch.observe(batch);
  }

  /** Counts one finished request. */
  finished(account: Account): void {
    this.#requests.add(1, account.outcome);
    this.#tokensIn.add(account.tokensIn);
    this.#cached.add(account.tokensCached ?? 0);
    this.#drafted.add(account.tokensDrafted ?? 0);
    this.#accepted.add(account.tokensAccepted ?? 0);
    this.#forced.add(account.tokensForced ?? 0);
    this.#duration.observe(account.durationMs);
    if (account.queueMs !== undefined) this.#queueWait.observe(account.queueMs);
    if (account.timeToFirstTokenMs !== undefined) this.#firstToken.observe(account.timeToFirstTokenMs);
    if (account.decodeMs !== undefined && account.tokensOut > 1)
      this.#perToken.observe(account.decodeMs / (account.tokensOut - 1));
  }

  #addCacheGauges({ cache }: Gauges): void {
    this.#gauge(
      'worker_kv_cache_usage_ratio',
      'Share of the budget of the cache that running requests need, 0 to 1',
      () => cache().usage,
    );
    this.#gauge(
      'worker_kv_cache_bytes',
      'Bytes of the cache that running requests and stored prefixes hold',
      () => cache().usedBytes,
    );
    this.#gauge('worker_kv_cache_budget_bytes', 'Maximum of worker_kv_cache_bytes', () => cache().budgetBytes);
    const help = 'Prefixes of ended requests that were dropped from the cache for lack of memory or of rows';
    this.#add(new Gauge('worker_kv_cache_evictions_total', help, () => cache().evictions, 'counter'));
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

  #counter(name: string, help: string, label?: string): Counter {
    return this.#add(new Counter(name, help, label));
  }

  #histogram(name: string, help: string, bounds: readonly number[] = MILLISECONDS): Histogram {
    return this.#add(new Histogram(name, help, bounds));
  }

  /** The series is absent while `read` returns undefined. */
  #gauge(name: string, help: string, read: () => number | undefined): Gauge {
    return this.#add(new Gauge(name, help, read));
  }

  #add<M extends Metric>(metric: M): M {
    this.#metrics.push(metric);
    return metric;
  }
}
