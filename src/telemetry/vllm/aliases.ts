/**
 * Metrics under the names of vLLM, which ready dashboards, autoscalers and routers read. An alias has no
 * value of its own: it shows the values of the worker's own metrics. Names, types and bounds are those of
 * vLLM's `vllm/v1/metrics/loggers.py`. Every alias has the labels `model_name` and `engine`, as most metrics
 * of vLLM. There, `cache_config_info` has no `model_name`, and `lora_requests_info` has neither label;
 * readers select a series by the labels that they know, and accept more.
 */
import { type Counts, QUEUE_FULL } from '../counts.ts';
import type { Gauges } from '../gauges.ts';
import {
  type Counter,
  type Histogram,
  headOf,
  labelsOf,
  type Metric,
  type MetricType,
  type SeriesLines,
} from '../series.ts';
import { REQUEST_SECONDS, TIME_TO_FIRST_TOKEN_SECONDS, TOKEN_SECONDS } from './bounds.ts';

/**
 * Tokens of a block in `vllm:cache_config_info`: the least that the router of llm-d counts. The cache has no
 * blocks.
 */
export const BLOCK_TOKENS = 64;

/** The index of the engine: a worker has one. */
const ENGINE = '0';
const MS_PER_SECOND = 1000;

/** A metric under another name. */
export interface Alias extends Metric {
  /** Names of the metrics whose values it shows; empty for a constant. */
  readonly sources: readonly string[];
}

interface AliasRow extends Omit<Alias, 'text'> {
  readonly lines: SeriesLines;
}

/**
 * All aliases, in the order of a scrape.
 * @param model the name of the model, read at the first scrape
 */
export function vllmAliases(counts: Counts, gauges: Gauges, model: () => string): readonly Alias[] {
  let labels: string | undefined;
  return [...gaugeRows(gauges), ...counterRows(counts), ...histogramRows(counts)].map(({ lines, ...row }) => ({
    ...row,
    text: () => {
      labels ??= labelsOf({ model_name: model(), engine: ENGINE });
      return headOf(row) + lines(row.name, labels);
    },
  }));
}

function gaugeRows({ running, waiting, cache }: Gauges): readonly AliasRow[] {
  const row = (name: string, help: string, sources: readonly string[], lines: SeriesLines): AliasRow => ({
    ...named(name, help, 'gauge'),
    sources,
    lines,
  });
  const one = (name: string, help: string, source: string, read: () => number): AliasRow =>
    row(name, help, [source], (full, labels) => `${full}{${labels}} ${read()}\n`);
  return [
    one('num_requests_running', 'Requests that hold a slot', 'worker_requests_running', running),
    one('num_requests_waiting', 'Requests that wait for a slot', 'worker_requests_waiting', waiting),
    one(
      'kv_cache_usage_perc',
      'Share of the cache that running requests need, 0 to 1',
      'worker_kv_cache_usage_ratio',
      () => cache().usage,
    ),
    row(
      'cache_config_info',
      `Size of the cache: num_gpu_blocks blocks of block_size tokens`,
      ['worker_kv_cache_budget_bytes'],
      (full, labels) => {
        const blocks = Math.floor(cache().budgetTokens / BLOCK_TOKENS);
        const size = labelsOf({ block_size: String(BLOCK_TOKENS), num_gpu_blocks: String(blocks) });
        return `${full}{${size},${labels}} 1\n`;
      },
    ),
    row(
      'lora_requests_info',
      'LoRA adapters: the worker has none; the value is the time of the scrape',
      [],
      (full, labels) => {
        const adapters = labelsOf({ max_lora: '0', running_lora_adapters: '', waiting_lora_adapters: '' });
        return `${full}{${adapters},${labels}} ${Date.now() / MS_PER_SECOND}\n`;
      },
    ),
  ];
}

function counterRows(counts: Counts): readonly AliasRow[] {
  const row = (name: string, help: string, source: Counter): AliasRow => ({
    ...named(name, help, 'counter'),
    sources: [source.name],
    lines: (full, labels) => `${full}{${labels}} ${source.count()}\n`,
  });
  const { requests, completed, errors } = counts;
  return [
    row('prompt_tokens_total', 'Prompt tokens of finished requests', counts.tokensIn),
    row('generation_tokens_total', 'Generated tokens', counts.tokensOut),
    row('prefix_cache_queries_total', 'Prompt tokens that were looked up in the cache', counts.lookedUp),
    row('prefix_cache_hits_total', 'Prompt tokens reused from the cache', counts.cached),
    row('num_preemptions_total', 'Outputs that gave back their slot and continued later', counts.preempted),
    {
      ...named('request_success_total', 'Finished requests, by reason', 'counter'),
      sources: [completed.name, requests.name],
      lines: (full, labels) => {
        const reasons = {
          stop: completed.count('eos', 'stop_sequence'),
          length: completed.count('max_tokens'),
          abort: requests.count('cancelled', 'timeout'),
          error: requests.count('error'),
        };
        const series = Object.entries(reasons).map(
          ([reason, count]) => `${full}{finished_reason="${reason}",${labels}} ${count}\n`,
        );
        return series.join('');
      },
    },
    {
      ...named('admission_rejections_total', 'Requests for which the queue had no place', 'counter'),
      sources: [errors.name],
      lines: (full, labels) => `${full}{reason="max_num_queued_reqs",${labels}} ${errors.count(QUEUE_FULL)}\n`,
    },
  ];
}

function histogramRows(counts: Counts): readonly AliasRow[] {
  const row = (
    name: string,
    help: string,
    { source, bounds, scale }: { source: Histogram; bounds: readonly number[]; scale: number },
  ): AliasRow => ({
    ...named(`${name}_seconds`, `Seconds ${help}`, 'histogram'),
    sources: [source.name],
    lines: source.view(bounds, scale),
  });
  const ofMs = (source: Histogram, bounds = REQUEST_SECONDS) => ({ source, bounds, scale: MS_PER_SECOND });
  const ofSeconds = (source: Histogram, bounds = REQUEST_SECONDS) => ({ source, bounds, scale: 1 });
  return [
    row(
      'time_to_first_token',
      'from the acceptance of a request to its first token',
      ofMs(counts.firstToken, TIME_TO_FIRST_TOKEN_SECONDS),
    ),
    row(
      'inter_token_latency',
      'between two steps with tokens of the same output',
      ofSeconds(counts.betweenTokens, TOKEN_SECONDS),
    ),
    row(
      'request_time_per_output_token',
      'per generated token of a request, without the first token',
      ofMs(counts.perToken, TOKEN_SECONDS),
    ),
    row('e2e_request_latency', 'from the acceptance of a request to its last event', ofMs(counts.duration)),
    row('request_queue_time', 'that a request waited for its slot', ofMs(counts.queueWait)),
    row('request_prefill_time', 'from the slot of a completed request to its first token', ofSeconds(counts.prefill)),
    row('request_decode_time', 'from the first token of a request to its last one', ofSeconds(counts.decode)),
  ];
}

const named = (name: string, help: string, type: MetricType) => ({ name: `vllm:${name}`, help, type });
