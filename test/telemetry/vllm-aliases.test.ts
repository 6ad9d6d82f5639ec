/** The aliases with vLLM's names show the values of the worker's own metrics, in vLLM's units and buckets. */
import { expect, test } from 'vitest';
import type { Gauges } from '../../src/telemetry/gauges.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { ProcessFigures } from '../../src/telemetry/process-figures.ts';
import { BLOCK_TOKENS } from '../../src/telemetry/vllm/aliases.ts';
import { NO_GAUGES } from '../support/fakes.ts';
import { Scrape } from '../support/scrape.ts';

const metricsOf = (gauges: Partial<Gauges> = {}, model = 'org/name'): Metrics =>
  new Metrics({ ...NO_GAUGES, ...gauges }, new ProcessFigures(), () => model);
const scrapeOf = async (metrics: Metrics): Promise<Scrape> => new Scrape(await metrics.render());
const LABELS = { model_name: 'org/name', engine: '0' };

/** Alias of a histogram, its own metric, and the number of own units in a second. */
const HISTOGRAMS = [
  ['vllm:time_to_first_token_seconds', 'worker_time_to_first_token_ms', 1000],
  ['vllm:inter_token_latency_seconds', 'worker_inter_token_latency_seconds', 1],
  ['vllm:request_time_per_output_token_seconds', 'worker_time_per_output_token_ms', 1000],
  ['vllm:e2e_request_latency_seconds', 'worker_inference_duration_ms', 1000],
  ['vllm:request_queue_time_seconds', 'worker_queue_wait_ms', 1000],
  ['vllm:request_prefill_time_seconds', 'worker_prefill_duration_seconds', 1],
  ['vllm:request_decode_time_seconds', 'worker_decode_duration_seconds', 1],
] as const;

/** Requests of every outcome. */
function work(metrics: Metrics): void {
  for (const ms of [0.4, 1, 5, 12, 75, 300, 2600, 81_000, 9_000_000]) {
    metrics.token(2);
    metrics.token(2, ms);
    metrics.finished({
      outcome: 'success',
      stopReason: ms < 10 ? 'eos' : ms < 100 ? 'stop_sequence' : 'max_tokens',
      tokensIn: 7,
      tokensOut: 3,
      tokensLookedUp: 6,
      tokensCached: 4,
      durationMs: ms * 3,
      queueMs: ms / 2,
      timeToFirstTokenMs: ms,
      prefillMs: ms / 3,
      decodeMs: ms * 2,
    });
  }
  for (const outcome of ['error', 'cancelled', 'timeout'] as const)
    metrics.finished({ outcome, tokensIn: 1, tokensOut: 0, durationMs: 10, queueMs: 1 });
  metrics.preempted();
  metrics.failed('ALL_SLOTS_BUSY');
  metrics.failed('INVALID_REQUEST');
}

test.each(HISTOGRAMS)('%s has the count and the sum of %s', async (alias, own, scale) => {
  const metrics = metricsOf();
  work(metrics);
  const scrape = await scrapeOf(metrics);
  const [shown, source] = [scrape.histogram(alias), scrape.histogram(own)];
  expect(source.count).toBeGreaterThan(0);
  expect(shown.count).toBe(source.count);
  expect(shown.sum).toBe(source.sum / scale);
  expect(scrape.types.get(alias)).toBe('histogram');
  expect(scrape.all(`${alias}_count`, LABELS)).toHaveLength(1);
});

test('a value is in the first bucket whose bound it does not exceed', async () => {
  const metrics = metricsOf();
  metrics.finished({ outcome: 'error', tokensIn: 1, tokensOut: 1, durationMs: 1, timeToFirstTokenMs: 60 });
  metrics.finished({ outcome: 'error', tokensIn: 1, tokensOut: 1, durationMs: 1, timeToFirstTokenMs: 60.1 });
  const scrape = await scrapeOf(metrics);
  const bucket = (le: string): number => scrape.value('vllm:time_to_first_token_seconds_bucket', { le });
  expect(['0.04', '0.06', '0.08', '2560.0', '+Inf'].map(bucket)).toEqual([0, 1, 2, 2, 2]);
});

test('the bounds are those of vLLM, as Python writes them', async () => {
  const scrape = await scrapeOf(metricsOf());
  const first =
    '0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0 160.0 640.0 2560.0';
  const token = '0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 80.0';
  const request =
    '0.3 0.5 0.8 1.0 1.5 2.0 2.5 5.0 10.0 15.0 20.0 30.0 40.0 50.0 60.0 120.0 240.0 480.0 960.0 1920.0 7680.0';
  const expected = [first, token, token, request, request, request, request];
  expect(HISTOGRAMS.map(([alias]) => scrape.histogram(alias).bounds.join(' '))).toEqual(expected);
});

test('the counters have the values of their sources, and the reasons add up to the finished requests', async () => {
  const metrics = metricsOf();
  work(metrics);
  const scrape = await scrapeOf(metrics);
  const pairs = [
    ['prompt_tokens_total', 'worker_tokens_in_total', 66],
    ['generation_tokens_total', 'worker_tokens_generated_total', 18],
    ['prefix_cache_queries_total', 'worker_prefix_cache_lookup_tokens_total', 54],
    ['prefix_cache_hits_total', 'worker_prefix_cache_tokens_total', 36],
    ['num_preemptions_total', 'worker_requests_preempted_total', 1],
  ] as const;
  for (const [alias, own, value] of pairs)
    expect([scrape.value(`vllm:${alias}`, LABELS), scrape.value(own)]).toEqual([value, value]);
  const reason = (finished_reason: string): number =>
    scrape.value('vllm:request_success_total', { ...LABELS, finished_reason });
  expect(['stop', 'length', 'abort', 'error'].map(reason)).toEqual([5, 4, 2, 1]);
  const finished = scrape.all('worker_requests_total').reduce((sum, { value }) => sum + value, 0);
  expect(scrape.all('vllm:request_success_total').reduce((sum, { value }) => sum + value, 0)).toBe(finished);
  expect(scrape.value('vllm:admission_rejections_total', { reason: 'max_num_queued_reqs' })).toBe(1);
});

test('the gauges have the values of the worker at each scrape', async () => {
  let running = 3;
  const cache = () => ({ usage: 0.25, usedBytes: 1, budgetBytes: 2, budgetTokens: 1000, evictions: 0 });
  const metrics = metricsOf({ running: () => running, waiting: () => 7, cache });
  const first = await scrapeOf(metrics);
  const gauges = ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc', 'cache_config_info'];
  expect(gauges.map((name) => first.value(`vllm:${name}`, LABELS))).toEqual([3, 7, 0.25, 1]);
  const [info] = first.all('vllm:cache_config_info');
  expect(info?.labels).toMatchObject({ block_size: String(BLOCK_TOKENS), num_gpu_blocks: '15' });
  running = 4;
  expect((await scrapeOf(metrics)).value('vllm:num_requests_running')).toBe(4);
});

test('a worker has no LoRA adapters; the value is the time of the scrape in seconds', async () => {
  const before = Date.now() / 1000;
  const [series] = (await scrapeOf(metricsOf())).all('vllm:lora_requests_info');
  expect(series?.labels).toEqual({ max_lora: '0', running_lora_adapters: '', waiting_lora_adapters: '', ...LABELS });
  expect(series?.value).toBeGreaterThanOrEqual(before);
  expect(series?.value).toBeLessThanOrEqual(Date.now() / 1000);
});

test('the name of the model is escaped', async () => {
  const model = 'a"b\\c\nd}e';
  const scrape = await scrapeOf(metricsOf({}, model));
  expect(scrape.text).toContain('vllm:num_requests_running{model_name="a\\"b\\\\c\\nd}e",engine="0"} 0\n');
  expect(scrape.all('vllm:num_requests_running')[0]?.labels['model_name']).toBe(model);
});

test('without a name of the model there is no alias, and every own metric', async () => {
  const names = async (metrics: Metrics): Promise<string[]> => [...(await scrapeOf(metrics)).types.keys()];
  const [without, withAliases] = [await names(new Metrics(NO_GAUGES)), await names(metricsOf())];
  expect(without.filter((name) => name.startsWith('vllm:'))).toEqual([]);
  expect(withAliases.filter((name) => !name.startsWith('vllm:'))).toEqual(without);
});

test('every alias names metrics of the worker as its sources, and only a constant has none', () => {
  const metrics = metricsOf();
  const own = metrics.own.map(({ name }) => name);
  expect(metrics.aliases.flatMap(({ sources }) => sources).filter((name) => !own.includes(name))).toEqual([]);
  const constant = metrics.aliases.filter(({ sources }) => sources.length === 0).map(({ name }) => name);
  expect(constant).toEqual(['vllm:lora_requests_info']);
});
