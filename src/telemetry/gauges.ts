/** The metrics that a scrape reads from the state of the worker. No reading calls the engine. */
import type { MetricList } from './metric-list.ts';

/** The memory of the KV cache. */
export interface CacheFigures {
  /** Share of the budget that the tokens of running sequences need, 0 to 1. */
  readonly usage: number;
  /** Bytes that running sequences and stored prefixes hold. */
  readonly usedBytes: number;
  readonly budgetBytes: number;
  /** Tokens whose keys and values the budget can hold; 0 until the model is loaded. */
  readonly budgetTokens: number;
  /** Prefixes of ended requests that were dropped since the start of the worker. */
  readonly evictions: number;
}

/** Values that a scrape reads from the worker. */
export interface Gauges {
  readonly running: () => number;
  readonly waiting: () => number;
  /** Requests that can run at the same time; 0 until the model is loaded. */
  readonly slots: () => number;
  /** Requests that may wait. */
  readonly queueLimit: () => number;
  readonly cache: () => CacheFigures;
  readonly vramBytes: () => number;
  /** Memory of the worker and its engine; undefined if it cannot be read. */
  readonly memoryBytes: () => Promise<number | undefined>;
  /** Memory that the worker and its engine may use together; all of the machine without a limit. */
  readonly memoryLimitBytes: () => number;
  /** Bytes of all event logs together. */
  readonly logBytes: () => number;
  readonly uptimeSeconds: () => number;
  /** True while an engine process has the model open. */
  readonly engineOpen: () => boolean;
  /** True while the open engine is silent for too long. */
  readonly engineStalled: () => boolean;
  /** Age of the engine's last message; undefined before the first one. */
  readonly heartbeatAgeSeconds: () => number | undefined;
  /** Lines of standard output that were dropped since the start of the worker. */
  readonly linesLost: () => number;
}

/** Values of the scrape that is answered, or counts that other metrics have. */
export interface Derived {
  readonly memoryBytes: () => number | undefined;
  readonly engineLosses: () => number;
}

/** Adds all gauges to the list. */
export function addGauges(list: MetricList, gauges: Gauges, { memoryBytes, engineLosses }: Derived): void {
  list.gauge('worker_requests_running', 'Requests that hold a slot', gauges.running);
  list.gauge('worker_requests_waiting', 'Requests that wait for a slot', gauges.waiting);
  list.gauge('worker_slots', 'Maximum of worker_requests_running; 0 until the model is loaded', gauges.slots);
  list.gauge(
    'worker_queue_limit',
    'Maximum of worker_requests_waiting for new requests; further ones get 503',
    gauges.queueLimit,
  );
  addCache(list, gauges);
  list.gauge('worker_vram_bytes', 'Bytes used on the device; 0 on the CPU', gauges.vramBytes);
  list.gauge(
    'worker_memory_bytes',
    'Bytes of memory of the worker and its engine, pages shared with other processes in part (PSS)',
    memoryBytes,
  );
  list.gauge(
    'worker_memory_limit_bytes',
    'Bytes of memory that the worker and its engine may use: the limit of their control group, or all of the machine',
    gauges.memoryLimitBytes,
  );
  list.gauge('worker_event_log_bytes', 'Bytes of the event logs of all running and finished jobs', gauges.logBytes);
  list.gauge('worker_uptime_seconds', 'Seconds since the start of the worker', gauges.uptimeSeconds);
  list.gauge(
    'worker_stdout_lines_lost_total',
    'Lines of the log that were dropped because standard output was not read',
    gauges.linesLost,
    'counter',
  );
  addEngine(list, gauges, engineLosses);
}

function addCache(list: MetricList, { cache }: Gauges): void {
  list.gauge(
    'worker_kv_cache_usage_ratio',
    'Share of the budget of the cache that running requests need, 0 to 1',
    () => cache().usage,
  );
  list.gauge(
    'worker_kv_cache_bytes',
    'Bytes of the cache that running requests and stored prefixes hold',
    () => cache().usedBytes,
  );
  list.gauge('worker_kv_cache_budget_bytes', 'Maximum of worker_kv_cache_bytes', () => cache().budgetBytes);
  list.gauge(
    'worker_kv_cache_evictions_total',
    'Prefixes of ended requests that were dropped from the cache for lack of memory or of rows',
    () => cache().evictions,
    'counter',
  );
}

function addEngine(list: MetricList, gauges: Gauges, losses: () => number): void {
  const { engineOpen, engineStalled, heartbeatAgeSeconds } = gauges;
  list.gauge('worker_engine_up', '1 while an engine process has the model open, otherwise 0', () =>
    Number(engineOpen()),
  );
  list.gauge(
    'worker_engine_losses_total',
    'Engine processes that have ended by themselves or were killed',
    losses,
    'counter',
  );
  list.gauge('worker_engine_stalled', '1 while the engine is silent for too long, otherwise 0', () =>
    Number(engineStalled()),
  );
  list.gauge(
    'worker_engine_heartbeat_age_seconds',
    'Seconds since the last message of the engine',
    heartbeatAgeSeconds,
  );
}
