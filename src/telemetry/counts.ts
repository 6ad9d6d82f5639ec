/** The counters and histograms of the worker: all numbers that grow with its work. */
import type { MetricList } from './metric-list.ts';

export const OUTCOMES = ['success', 'error', 'cancelled', 'timeout'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** The reason for which the first output of a successful request ended. */
export const COMPLETIONS = ['eos', 'max_tokens', 'stop_sequence'] as const;
export type Completion = (typeof COMPLETIONS)[number];

/** Reasons for which the HTTP server refuses a request or closes a connection. */
export const HTTP_REFUSALS = ['unauthorized', 'forbidden_origin', 'connection_refused', 'connection_evicted'] as const;
export type HttpRefusal = (typeof HTTP_REFUSALS)[number];

/** Source of the grammar of a request; `refused`: it cannot be compiled. */
export const GRAMMAR_OUTCOMES = ['compiled', 'cached', 'refused'] as const;
export type GrammarOutcome = (typeof GRAMMAR_OUTCOMES)[number];

/** The error of a request for which the queue has no place. */
export const QUEUE_FULL = 'ALL_SLOTS_BUSY';

const MILLISECONDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];
const SECONDS = MILLISECONDS.map((ms) => ms / 1000);
const TOKEN_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** The counters of requests, connections and narrations. */
function addRequests(list: MetricList) {
  return {
    requests: list.counter('worker_requests_total', 'Finished requests, by outcome', 'outcome', OUTCOMES),
    completed: list.counter(
      'worker_requests_completed_total',
      'Requests with the outcome success, by the reason for which their first output ended',
      'stop_reason',
      COMPLETIONS,
    ),
    errors: list.counter(
      'worker_http_errors_total',
      'Requests that were answered with an error instead of a stream or a result, by code',
      'code',
      [QUEUE_FULL],
    ),
    refusals: list.counter(
      'worker_http_refusals_total',
      'Refused requests and connections, by reason',
      'reason',
      HTTP_REFUSALS,
    ),
    interrupted: list.counter(
      'worker_requests_interrupted_total',
      'Outputs that lost their slot with a lost engine, and waited for the next one',
    ),
    resumed: list.counter(
      'worker_requests_resumed_total',
      'Outputs that went on after an interruption, a test of single requests after engine losses, or a preemption',
    ),
    preempted: list.counter(
      'worker_requests_preempted_total',
      'Outputs that gave back their slot and their memory for others, and continued later',
    ),
    narrations: list.counter('worker_narration_events_total', 'Narrations, by event', 'event'),
    shed: list.counter(
      'worker_narration_shed_total',
      'Narration and metrics events skipped because all subscribers were slow',
    ),
  };
}

/** The counters of tokens. */
function addTokens(list: MetricList) {
  return {
    tokensIn: list.counter('worker_tokens_in_total', 'Prompt tokens of finished requests'),
    tokensOut: list.counter('worker_tokens_generated_total', 'Generated tokens'),
    lookedUp: list.counter(
      'worker_prefix_cache_lookup_tokens_total',
      'Tokens of prompts and continued outputs that were looked up in the cache: those of finished requests that had a slot',
    ),
    cached: list.counter(
      'worker_prefix_cache_tokens_total',
      'Tokens of worker_prefix_cache_lookup_tokens_total that were reused from the cache',
    ),
    drafted: list.counter('worker_tokens_drafted_total', 'Drafted tokens of requests that ran alone'),
    accepted: list.counter('worker_tokens_accepted_total', 'Drafted tokens that were accepted'),
    forced: list.counter('worker_tokens_forced_total', 'Generated tokens for which a grammar left no choice'),
    grammars: list.counter(
      'worker_grammars_total',
      'Grammars that requests needed, by outcome',
      'outcome',
      GRAMMAR_OUTCOMES,
    ),
    batch: list.histogram(
      'worker_batch_size',
      'Sequences decoded in the same step, observed once per token',
      [1, 2, 4, 8, 16, 32, 64],
    ),
  };
}

/** The histograms of times. Those of version 1 are in milliseconds. */
function addTimes(list: MetricList) {
  const ms = (name: string, help: string) => list.histogram(name, help, MILLISECONDS);
  return {
    duration: ms('worker_inference_duration_ms', 'Milliseconds from the acceptance of a request to its last event'),
    firstToken: ms('worker_time_to_first_token_ms', 'Milliseconds from the acceptance of a request to its first token'),
    perToken: ms(
      'worker_time_per_output_token_ms',
      'Milliseconds per generated token of a request, without the first token',
    ),
    queueWait: ms(
      'worker_queue_wait_ms',
      'Milliseconds that a finished request waited for its slot; without requests that never got one',
    ),
    prefill: list.histogram(
      'worker_prefill_duration_seconds',
      'Seconds from the slot of a completed request to its first token',
      SECONDS,
    ),
    decode: list.histogram(
      'worker_decode_duration_seconds',
      'Seconds from the first token of a request to its last one',
      SECONDS,
    ),
    betweenTokens: list.histogram(
      'worker_inter_token_latency_seconds',
      'Seconds between two steps with tokens of the same output; the tokens of an accepted draft are one step',
      TOKEN_SECONDS,
    ),
  };
}

/** Adds all counters and histograms to the list. */
export const addCounts = (list: MetricList) => ({ ...addRequests(list), ...addTokens(list), ...addTimes(list) });

export type Counts = ReturnType<typeof addCounts>;
