/**
 * Sentences about one request, from its validation to its last token. Request events: they go to stdout and
 * to the stream of the request.
 */
import { shorten } from '../../protocol/text/error-message.ts';
import { type Facts, requestEvent } from '../entry.ts';
import { cacheHitEnd, copiedHit, count, formatEta, formatMs, roundTo } from '../phrases.ts';

const HTTP = 'http-server';
const ENGINE = 'inference-engine';

/** The tokens that cost no run or no choice: drafts that were kept, and tokens that a grammar forced. */
function tokensWithoutRuns({
  tokens_drafted: drafted = 0,
  tokens_accepted: accepted = 0,
  tokens_forced: forced = 0,
}: Facts<never, 'tokens_drafted' | 'tokens_accepted' | 'tokens_forced'>): string {
  if (accepted > 0 && forced > 0) return `; ${count(accepted, 'draft')}, ${forced} forced`;
  if (accepted > 0) return `; ${accepted} of ${count(drafted, 'draft')} kept`;
  return forced > 0 ? `; grammar forced ${count(forced, 'token')}` : '';
}

export const REQUEST_EVENTS = {
  'request.invalid': requestEvent({
    actor: HTTP,
    action: 'error',
    level: 'WARN',
    when: 'the request fails validation',
    required: ['error_kind', 'field_errors', 'fields'],
    human: (f) => `Request is invalid: ${count(f.field_errors, 'error')} in ${f.fields}`,
    cute: (f) => `🤔 Almost! Take a second look at ${shorten(f.fields, 80)} and try again.`,
  }),
  'request.validated': requestEvent({
    actor: HTTP,
    action: 'execute_request',
    level: 'INFO',
    when: 'the request is valid and the job is accepted',
    optional: ['requests_running'],
    human: (_, job) => `HTTP server accepted job ${shorten(job, 74)}`,
    cute: () => '✅ Everything looks lovely. In you come!',
    story: () => '"May I?" asked the orchestrator. "Of course," said the worker and took the job.',
  }),
  'fields.ignored': requestEvent({
    actor: HTTP,
    action: 'fields_ignored',
    level: 'WARN',
    when: 'the request body has unknown fields, or fields that have no effect on this worker',
    required: ['fields'],
    human: (f) => `HTTP server ignores these fields of the request: ${f.fields}`,
    cute: (f) => `🙈 We have no use for ${shorten(f.fields, 80)}, so we politely look away!`,
  }),
  'max_tokens.reduced': requestEvent({
    actor: HTTP,
    action: 'max_tokens_reduce',
    level: 'INFO',
    when: 'max_tokens is more than the operator allows, or more than the context has left after the prompt',
    required: ['max_tokens_asked', 'max_tokens'],
    human: (f) => `Worker reduces max_tokens from ${f.max_tokens_asked} to ${f.max_tokens}, the most that is possible`,
    cute: (f) => `🪣 Our bucket holds ${count(f.max_tokens, 'token')}. We fill it to the brim!`,
  }),
  'tool.unparsed': requestEvent({
    actor: 'output-parser',
    action: 'tool_parse',
    level: 'WARN',
    when: 'a part of the output begins like a tool call and cannot be parsed: it is returned as content, or as a call with incomplete arguments',
    required: ['calls_unparsed'],
    human: (f) =>
      `Check the answer: ${count(f.calls_unparsed, 'tool call')} cannot be parsed; the text is in its content or arguments`,
    cute: () => '🧩 This tool call has a piece too many. We hand it over as plain words!',
  }),
  'grammar.compiled': requestEvent({
    actor: 'grammar-compiler',
    action: 'grammar_compile',
    level: 'INFO',
    when: 'the form that the request demands of its output has been compiled to a grammar, or is known from an earlier request',
    required: ['grammar_states', 'duration_ms', 'cached_grammar'],
    optional: ['without_effect'],
    human: (f) => {
      const ignored = f.without_effect === undefined ? '' : '; some keywords have no effect';
      if (f.cached_grammar === 'yes') return `Grammar with ${count(f.grammar_states, 'state')} is reused${ignored}`;
      return `Grammar with ${count(f.grammar_states, 'state')} was compiled in ${formatMs(f.duration_ms)}${ignored}`;
    },
    cute: (f) => `📐 The stencil is ready: ${count(f.grammar_states, 'little hole')} for the words to fit through!`,
  }),
  'grammar.incomplete': requestEvent({
    actor: 'inference-engine',
    action: 'grammar_incomplete',
    level: 'WARN',
    when: 'the output ended before it had the form that the request demands: max_tokens was reached, or a stop string',
    required: ['tokens_out', 'stop_reason'],
    human: (f) => {
      const remedy =
        f.stop_reason === 'stop_sequence' ? 'Remove the stop string' : 'Raise max_tokens, or simplify the form';
      return `${remedy}: the output does not have the demanded form after ${count(f.tokens_out, 'token')}`;
    },
    cute: (f) =>
      f.stop_reason === 'stop_sequence'
        ? '✂️ A stop string cut the page before the form was full. Try without it!'
        : '✂️ The page ended before the form was full. A longer page would help!',
  }),
  'prompt.tokenized': requestEvent({
    actor: 'tokenizer',
    action: 'tokenize',
    level: 'INFO',
    when: 'the prompt has been converted to token ids',
    required: ['tokens_in', 'duration_ms'],
    human: (f) => `Tokenizer split the prompt into ${count(f.tokens_in, 'token')} in ${f.duration_ms.toFixed(1)} ms`,
    cute: (f) => `✂️ Snip, snip: your words became ${count(f.tokens_in, 'tiny token')}!`,
  }),
  'request.continued': requestEvent({
    actor: ENGINE,
    action: 'request_continue',
    level: 'INFO',
    when: 'the request has `resume`: the worker continues an answer that another stream has begun',
    required: ['tokens_kept'],
    human: (f) => `Engine goes on with the earlier answer and keeps its first ${count(f.tokens_kept, 'token')}`,
    cute: (f) => `🤝 Another bee handed us the pen after ${count(f.tokens_kept, 'token')}. We write on from there!`,
    story: () => '"Where did they stop?" asked the engine. "Right here," said the orchestrator and showed the page.',
  }),
  'request.queued': requestEvent({
    actor: ENGINE,
    action: 'queue',
    level: 'INFO',
    when: 'all slots are busy and the request waits in the queue',
    required: ['queue_position', 'eta_ms'],
    human: (f) => `Engine queues the request at position ${f.queue_position}; it starts in ${formatEta(f.eta_ms)}`,
    cute: (f) => `🎟️ Number ${f.queue_position} in line. The bees are hurrying!`,
  }),
  'queue.moved': requestEvent({
    actor: ENGINE,
    action: 'queue',
    level: 'INFO',
    when: 'the request has moved up in the queue',
    required: ['queue_position', 'eta_ms'],
    human: (f) => `Request moved up to queue position ${f.queue_position}; it starts in ${formatEta(f.eta_ms)}`,
    cute: (f) => `👣 One step closer: number ${f.queue_position}!`,
  }),
  'inference.start': requestEvent({
    actor: ENGINE,
    action: 'inference_start',
    level: 'INFO',
    when: 'the engine receives the job',
    required: ['max_tokens', 'temperature', 'seed'],
    human: (f) =>
      `Engine receives the job: at most ${count(f.max_tokens, 'token')}, temperature ${f.temperature}, seed ${f.seed}`,
    cute: () => '🚀 Engines on! Here comes your answer…',
    story: () => '"Will you write this for me?" asked the worker. "With joy," hummed the engine.',
  }),
  'cache.reset': requestEvent({
    actor: ENGINE,
    action: 'cache_reset',
    level: 'INFO',
    when: 'the request gets a slot; cached tokens that match the start of the prompt are kept, the others are dropped',
    required: ['slot', 'cached_tokens', 'queue_ms'],
    target: (f) => `slot-${f.slot}`,
    human: (f) =>
      `Engine reset slot ${f.slot} and kept ${count(f.cached_tokens, 'cached token')}; the request waited ${formatMs(f.queue_ms)}`,
    cute: (f) =>
      f.cached_tokens > 0
        ? `🧽 Wiped the slate, but kept ${count(f.cached_tokens, 'token')} we remember!`
        : '🧽 A fresh, clean slate, just for you!',
  }),
  'cache.hit': requestEvent({
    actor: ENGINE,
    action: 'cache_hit',
    level: 'INFO',
    when: 'the cache already has a part of the prompt; the last two tokens of a prompt are always computed',
    required: ['cached_tokens', 'tokens_in', 'slot'],
    optional: ['diverged_at', 'copied_from', 'saved_ms'],
    human: ({ copied_from, ...f }) =>
      copied_from === undefined
        ? `Engine reuses ${f.cached_tokens} of ${count(f.tokens_in, 'prompt token')}; ${cacheHitEnd(f)}`
        : copiedHit({ ...f, copied_from }),
    cute: (f) =>
      f.cached_tokens === 1 ? '🧠 I remember the first token!' : `🧠 I remember the first ${f.cached_tokens} tokens!`,
  }),
  'batch.joined': requestEvent({
    actor: ENGINE,
    action: 'batch_join',
    level: 'INFO',
    when: 'the engine decodes this request together with others in the same steps',
    required: ['batch_size'],
    human: (f) => `Request runs in a batch with ${count(f.batch_size - 1, 'other request')}`,
    cute: () => '🫂 Cosy! Your request dances with others.',
  }),
  'prefill.progress': requestEvent({
    actor: ENGINE,
    action: 'prefill',
    level: 'INFO',
    when: 'the engine has computed a chunk of a long prompt',
    required: ['tokens_done', 'tokens_total', 'prefill_ms', 'eta_ms'],
    human: (f) =>
      `Engine read ${f.tokens_done} of ${count(f.tokens_total, 'prompt token')}; the rest takes ${formatEta(f.eta_ms)}`,
    cute: (f) => `📖 Reading… ${Math.round((100 * f.tokens_done) / f.tokens_total)} % of your prompt so far!`,
  }),
  'tokens.progress': requestEvent({
    actor: ENGINE,
    action: 'token_generate',
    level: 'INFO',
    when: 'the engine has generated another 10 tokens (--progress-every)',
    required: ['tokens_out', 'tokens_per_sec', 'decode_time_ms', 'batch_size'],
    human: (f) => `Engine generated ${count(f.tokens_out, 'token')} at ${f.tokens_per_sec.toFixed(1)} tokens/s`,
    cute: (f) => `🍯 ${count(f.tokens_out, 'drop')} of honey so far…`,
  }),
  'inference.complete': requestEvent({
    actor: ENGINE,
    action: 'inference_complete',
    level: 'INFO',
    when: 'the engine has generated the last token',
    required: ['tokens_out', 'tokens_in', 'decode_time_ms', 'tokens_per_sec', 'stop_reason', 'cached_tokens'],
    human: (f) =>
      `Engine finished: ${count(f.tokens_out, 'token')} in ${formatMs(f.decode_time_ms)}, ${f.tokens_per_sec.toFixed(1)} tokens/s (${f.stop_reason})`,
    cute: (f) => `🎉 Done! ${count(f.tokens_out, 'token')}, fresh from the hive!`,
  }),
  'time.explained': requestEvent({
    actor: ENGINE,
    action: 'time_explained',
    level: 'INFO',
    when: 'the request is complete; the event splits its duration into parts',
    required: ['duration_ms', 'queue_ms', 'prefill_ms', 'decode_time_ms'],
    optional: ['interrupted_ms', 'tokens_drafted', 'tokens_accepted', 'tokens_forced'],
    human: (f) => {
      const unit = f.duration_ms < 100_000 ? 'ms' : 's';
      const parts = `queue ${roundTo(unit, f.queue_ms)}, prefill ${roundTo(unit, f.prefill_ms)}, decode ${roundTo(unit, f.decode_time_ms)} ${unit}`;
      const interrupted = f.interrupted_ms;
      const rest = interrupted ? `, ${roundTo(unit, interrupted)} of it interrupted` : tokensWithoutRuns(f);
      return `Request took ${roundTo(unit, f.duration_ms)} ${unit}: ${parts}${rest}`;
    },
    cute: (f) => `⏱️ ${Math.round(f.duration_ms)} ms well spent!`,
  }),
} as const;
