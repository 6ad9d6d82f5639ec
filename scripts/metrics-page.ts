/** Makes docs/metrics.md: the metrics of the worker and their aliases, from the code that writes them. */

import { PROCESS_AGE_MS, SCRAPE_MS } from '../src/http/operator/metrics.ts';
import type { Gauges } from '../src/telemetry/gauges.ts';
import { WINDOW_MS } from '../src/telemetry/loop-lag.ts';
import {
  MAX_MEMORY_AGE_MS,
  MAX_SCRAPE_READING_MS,
  MEMORY_READING_SHARE,
  MIN_MEMORY_AGE_MS,
} from '../src/telemetry/memory-figure.ts';
import { Metrics } from '../src/telemetry/metrics.ts';
import { ProcessFigures } from '../src/telemetry/process-figures.ts';
import { type Alias, BLOCK_TOKENS } from '../src/telemetry/vllm/aliases.ts';

const zero = (): number => 0;
const GAUGES: Gauges = {
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
  heartbeatAgeSeconds: zero,
  linesLost: zero,
};

const CACHE_TOKENS = 'tokens; counted at the end of a request, for the first slot of each prompt';

/** Differences between the value of an alias and vLLM's. */
const DIFFERENCES: Readonly<Record<string, string>> = {
  'vllm:cache_config_info': `constant 1; \`block_size\` is ${BLOCK_TOKENS}, \`num_gpu_blocks\` the tokens that the cache holds ÷ ${BLOCK_TOKENS} ([below](#the-size-of-the-cache)). vLLM has no label \`model_name\` here`,
  'vllm:lora_requests_info':
    'the worker has no LoRA adapters: `max_lora="0"`, both lists empty; the value is the time of the scrape. vLLM has no such series without adapters, and no labels `model_name` and `engine`',
  'vllm:prompt_tokens_total': 'counted at the end of a request, not at its prefill',
  'vllm:prefix_cache_queries_total': `${CACHE_TOKENS}; without requests that never got one`,
  'vllm:prefix_cache_hits_total': CACHE_TOKENS,
  'vllm:request_success_total':
    '`stop` is `eos` and `stop_sequence`, `length` is `max_tokens`, `abort` is `cancelled` and `timeout`, `error` is `error`',
  'vllm:admission_rejections_total': '`reason="max_num_queued_reqs"`: the errors with the code `ALL_SLOTS_BUSY`',
  'vllm:request_time_per_output_token_seconds':
    'a request with several outputs has one value: its decode time ÷ the tokens of all outputs. vLLM has one for each output',
  'vllm:request_queue_time_seconds': 'requests that got a slot, also those that ended early',
  'vllm:request_prefill_time_seconds': 'requests whose first output is complete',
  'vllm:request_decode_time_seconds': 'all requests with a token',
};

/** The page. */
export function metricsPage(): string {
  const { own, aliases } = new Metrics(GAUGES, new ProcessFigures(), () => 'model');
  const aliasesOf = (name: string): string =>
    aliases
      .filter(({ sources }) => sources.includes(name))
      .map((alias) => `\`${alias.name}\``)
      .join(', ') || '–';
  const ownRows = own.map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} | ${aliasesOf(name)} |`);
  const aliasRows = aliases.map((alias) => `| \`${alias.name}\` | ${alias.type} | ${sourcesOf(alias)} |`);
  return `${HEAD}
## The worker's own names

| name | type | meaning | alias |
|---|---|---|---|
${ownRows.join('\n')}

Labels are words of the program, and the name of the model in the aliases. \`outcome\` is \`success\`, \`error\`, \`cancelled\`
or \`timeout\`; \`code\` is a code of an error answer; \`event\` is a name of [narration.md](narration.md). No label has a job
id, a correlation id or a text of a user. A counter of outcomes, reasons or codes begins with 0 for each of them, so
that a rate sees its first count.

An error counts once in \`worker_http_errors_total\`: a refusal, or the document of a job that failed. Probes of \`/ready\`
that get 503 count, too, with the code \`LOADING\` during the load. An upload that its client breaks off counts as
\`INVALID_REQUEST\`. The failure of a job whose answer is a stream counts in \`worker_requests_total\` only. A request that
is cancelled in the queue counts in \`worker_tokens_in_total\` with the tokens of its prompt, and in none of the figures
of the cache and the queue.

## The names of vLLM

Every alias has the labels \`model_name\` (the \`id\` of \`/v1/models\`) and \`engine\` (\`"0"\`, because a worker has one
engine), also the two that have other labels in vLLM: readers select a series by the labels that they know. An alias
has no count of its own: count and sum of a histogram are those of its source, and only the bounds of its buckets
differ. They are the bounds of vLLM, in seconds.

| alias | type | value |
|---|---|---|
${aliasRows.join('\n')}

${TAIL}`;
}

function sourcesOf({ name, sources }: Alias): string {
  const from = sources.map((source) => `\`${source}\``).join(', ');
  return [from, DIFFERENCES[name] ?? ''].filter((text) => text !== '').join('; ');
}

const HEAD = `<!-- Made by \`npm run generate\` from src/telemetry: edit scripts/metrics-page.ts instead. -->
# Metrics

\`GET /metrics\` has the metrics of the worker in the text format of Prometheus: those of the worker (\`worker_…\`), the
same values under the names of vLLM (\`vllm:…\`, for dashboards and routers that know these), and those of the Node.js
process (\`process_…\`, \`nodejs_…\`). \`--metrics-aliases none\` leaves out the names of vLLM.

\`\`\`sh
curl --silent http://127.0.0.1:8080/metrics | grep '^vllm:num_requests'
\`\`\`

A scrape reads the state of the worker process and never waits for the engine. All metrics are available while the
model loads, while the engine is stalled or lost, and during a drain. A request whose engine is lost counts as waiting,
so a router that reads metrics keeps the worker. With \`--api-token\`, a scrape needs the token.

The metrics of the worker are at most ${SCRAPE_MS} ms old, those of the Node.js process at most ${PROCESS_AGE_MS / 1000} s. A scrape reads the
memory anew if the last figure is older than ${MIN_MEMORY_AGE_MS / 1000} s; after a slow reading, than ${MEMORY_READING_SHARE} times the duration of this reading,
at most ${MAX_MEMORY_AGE_MS / 1000} s. If the memory cannot be read within ${MAX_SCRAPE_READING_MS} ms, the scrape has the last figure.

A scrape changes no figure, so that several programs can scrape a worker. The lag of the event loop
(\`nodejs_eventloop_lag_…\`) is measured while requests run: \`…_max_seconds\` and the other statistics are those of the
last ${WINDOW_MS / 1000} to ${(2 * WINDOW_MS) / 1000} s, and absent if no request ran then.
`;

const TAIL = `### The size of the cache

The worker keeps keys and values token by token, without blocks. \`vllm:cache_config_info\` states its size in blocks of
${BLOCK_TOKENS} tokens, so that the product of both labels is the number of tokens for which \`--cache-memory\` has room:

- The router of llm-d keeps an index of \`num_gpu_blocks\` entries for each worker to know the prefixes that its cache
  has, and takes \`block_size\` tokens for an entry, but at least 64. With smaller blocks it would expect more in the
  cache than there is.
- An autoscaler that multiplies \`num_gpu_blocks\`, \`block_size\` and \`vllm:kv_cache_usage_perc\` gets the tokens of the
  requests that run.

Both labels are constant once the model is loaded; before that, \`num_gpu_blocks\` is \`"0"\`, which llm-d ignores. Stored
prefixes of ended requests are not part of \`kv_cache_usage_perc\`: new requests replace them.

## Prometheus

[deploy/prometheus](../deploy/prometheus) has a configuration, the alerts and their tests. The pool-manager writes
\`workers.json\`, the list of the targets: it adds a worker when its ready callback arrives, removes it when its process
has ended, and replaces the file by a rename. Prometheus reads the file again at once, without a reload.

Every alert has a severity and an annotation \`runbook\` with its section of this page. A fleet that is idle, a rolling
restart and a single long prompt fire none of them: \`rules.test.yml\` has these cases. Let Alertmanager group by
\`alertname\`, so that a lost machine with ten workers sends one message. \`critical\`: users are refused, and nothing
repairs itself. \`warning\`: the worker repairs itself, or is slow.

### RbeesWorkerDown

Critical. Prometheus could not scrape a worker for two minutes. The rule names the \`job\` of \`prometheus.yml\`;
[Kubernetes](deploy.md#routers-and-scaling) has another one. A pool-manager replaces a lost worker earlier, and removes
it from \`workers.json\`.

1. Check the process. Its last log lines have the reason, and its [exit code](pool-manager.md#stop) says whether a
   restart helps. If the log ends without a reason, the kernel killed the process for lack of memory, or the machine is
   down.
2. Start another worker, or remove the address. If many alerts of one machine fire, check the machine.
3. The process lives and does not answer: send \`SIGTERM\`, then \`SIGKILL\`.

### RbeesQueueGrows

Warning. For ten minutes some request waited at any time, and the queue did not become shorter.

1. All workers have queues: start more of them. Their requests wait longer, and above the limit they get 503.
2. Only this one has a queue: the router does not see its load, or its affinity has no overflow
   ([scale.md](scale.md#policies)).
3. \`worker_requests_running\` is below \`worker_slots\`: look at the cache (RbeesCacheFull) and at the engine.

### RbeesEngineLost

Warning. An engine process has ended in the last ten minutes, or the worker has ended a silent one. The worker starts
the next one and continues the requests. A single loss needs no action. The third loss in ten minutes ends the worker.

1. The log has \`engine.lost\` with the reason. \`caused_by: request\`: a request ends engines, and the worker has tested
   and refused it. A signal 9 is often the kernel's: look at the memory (RbeesMemoryNearLimit).
2. After the third loss in ten minutes, the worker exits with code 1: start another one. Losses with
   \`caused_by: request\` do not count.

### RbeesEngineAway

Critical. A worker that has run for 15 minutes has had no engine for two minutes, and refuses requests. Raise the limit
of 900 s if your model loads longer.

1. The log has \`engine.lost\` or \`engine.not_started\` with the reason: no free file descriptor, no memory, or a device
   that is lost.
2. Replace the worker. If its successor is not ready either, run \`rbees-workerd doctor\` on the machine.

### RbeesEngineStalled

Warning. The engine sends no message for longer than \`--stall-after\`, for 30 s. New requests are refused. The worker
restarts the engine after \`--step-timeout\`.

1. Look for a machine that swaps, for a suspended process, and for a driver that hangs.
2. If it comes back with long prompts on a slow machine, raise \`--stall-after\`.

### RbeesLogLinesLost

Warning. A worker has dropped lines of its log, because nobody reads its standard output. Its work goes on.

1. Check that the reader of its output runs, and that its disk has space. \`stdout.lines_lost\` has the number of
   the lines.
2. Write less: \`--progress-every 100\`, or \`--log-level warn\`.

### RbeesCacheFull

Warning. For ten minutes, running requests needed more than 90 % of the KV cache. Requests give back their slots and are
computed again, so that all become slower.

1. Raise \`--cache-memory\` if the machine has memory, or lower \`--slots\`.
2. Start more workers, or send long prompts elsewhere.

### RbeesSlowFirstToken

Warning. For ten minutes, the slowest twentieth of at least 20 requests in five minutes waited more than 5 s for the
first token.

1. Compare \`worker_queue_wait_ms\` with \`worker_prefill_duration_seconds\`. Long waits: start more workers. Long prefills:
   prompts are long, and \`worker_prefix_cache_tokens_total\` shows how much of them the cache has. A router with prefix
   affinity helps most ([scale.md](scale.md#policies)).
2. If both are normal for the load, look for another program that uses the machine.

### RbeesMemoryNearLimit

Warning. Worker and engine use more than 90 % of the memory that they may use. At the limit, the kernel ends the engine.

1. Lower \`--cache-memory\` or \`--context\`, or raise the limit of the container.
2. The memory is the proportional memory of both processes. Its limit is that of their control group (a container), or
   all memory of the machine: for several workers without containers on one machine, compare the sum of
   \`worker_memory_bytes\` with the memory of the machine. This alert does not see that sum.

### promtool

\`promtool check metrics\` complains about four of the worker's names, \`worker_inference_duration_ms\`,
\`worker_queue_wait_ms\`, \`worker_time_per_output_token_ms\` and \`worker_time_to_first_token_ms\`, because of their unit:
version 1 promised them. Newer ones are in seconds, and the aliases have these four in seconds. It also complains about
the colon of vLLM's names, and about the suffix of \`nodejs_active_handles_total\`, \`…_requests_total\` and
\`…_resources_total\`, the usual names of a Node.js process.

## Grafana

Import [deploy/grafana/rbees-workerd.json](../deploy/grafana/rbees-workerd.json). The data source and the workers are
variables. The panels show load, tokens, refusals, times, cache, memory, engine and narration as sums, means and the
worst worker, so that a thousand workers have no more lines than two. Three panels name the ten workers with the longest
queues, the slowest first tokens and the least free memory. The last row is closed at first: it has a line for each
worker that is chosen at the top. A test runs every expression of the dashboard and the alerts in Prometheus against
real workers.

## Routers and autoscalers

| program | reads |
|---|---|
| the endpoint picker of llm-d and of the Gateway API Inference Extension | \`vllm:num_requests_waiting\`, \`num_requests_running\`, \`kv_cache_usage_perc\`, \`cache_config_info\`, \`lora_requests_info\`; without configuration, because \`vllm\` is its default. It treats a worker as overloaded if its metrics are missing or older than 200 ms |
| the router of vLLM's production stack | \`vllm:num_requests_running\`, \`num_requests_waiting\`. It also looks for \`gpu_cache_usage_perc\` and \`gpu_prefix_cache_…\`, names of older versions of vLLM that the worker does not have |
| KEDA | \`sum(vllm:num_requests_waiting{model_name="…"})\`, or \`sum(worker_requests_waiting)\`, by its scaler for Prometheus |
| dashboards for vLLM | the histograms of the table above |

Not available, because the worker does not count them: \`vllm:request_prompt_tokens\`, \`request_generation_tokens\`,
\`request_params_max_tokens\`, \`request_max_num_generation_tokens\` and \`iteration_tokens_total\`. Panels of vLLM's
dashboard that show them stay empty. Dashboards of older versions of vLLM also read
\`vllm:time_per_output_token_seconds\` and \`vllm:gpu_cache_usage_perc\`: replace them by
\`vllm:inter_token_latency_seconds\` and \`vllm:kv_cache_usage_perc\`.
`;
