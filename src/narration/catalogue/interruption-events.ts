/**
 * Sentences about requests that get slower, subscribers that fall behind or leave, and requests that end
 * early. Most are request events: they go to stdout and to the stream of the request. A subscriber can join
 * and leave at will, so joins go to stdout only: they do not fill the stream of the other subscribers.
 */
import { type Facts, lifecycleEvent, requestEvent } from '../entry.ts';
import { count, formatBytes, formatMs, formatRate, formatSeconds } from '../phrases.ts';

const HTTP = 'http-server';
const ENGINE = 'inference-engine';

const often = (times: number): string => (times === 1 ? '' : ` ${count(times, 'time')}`);

/** `94 → 61 tokens/s`; the first number is absent if it is not known. */
const speeds = (before: number | undefined, after: number): string =>
  `${before === undefined ? '' : `${formatRate(before)} → `}${formatRate(after)} tokens/s`;

/** The facts about a change of the batch. */
const CHANGE = {
  required: ['batch_size', 'other_sequences', 'other_sequences_before', 'tokens_per_sec', 'window_ms'],
  optional: ['tokens_per_sec_before'],
} as const;
type Change = Facts<(typeof CHANGE.required)[number], (typeof CHANGE.optional)[number]>;

const movedHuman = (verb: string, f: Change): string =>
  `${count(Math.abs(f.other_sequences - f.other_sequences_before), 'other')} ${verb} the batch (${f.other_sequences} now): ${speeds(f.tokens_per_sec_before, f.tokens_per_sec)}`;

type Slow = Facts<'other_sequences', 'prompt_tokens_beside' | 'paused_ms' | 'cpu_pressure_percent'>;
/** The end of the sentence about a slow phase, and a kind word, for each cause. */
const CAUSES: Readonly<Record<string, { readonly human: (f: Slow) => string; readonly cute: string }>> = {
  neighbours: {
    human: (f) => `the engine also decodes ${count(f.other_sequences, 'other')} in each step`,
    cute: '🐝 The hive is buzzing: everybody gets a smaller spoon of honey for now.',
  },
  long_prompt: {
    human: (f) => `the engine also reads ${count(f.prompt_tokens_beside ?? 0, 'prompt token')} of others`,
    cute: '📚 A neighbour brought a very thick book. We read it together with your words!',
  },
  machine: {
    human: (f) => `the machine is busy, its CPU pressure is ${Math.round(f.cpu_pressure_percent ?? 0)} %`,
    cute: '🥵 The machine has its hands full today. We squeeze in wherever we can!',
  },
  reader: {
    human: (f) => `the reader lagged, so the generation paused for ${formatMs(f.paused_ms ?? 0)}`,
    cute: '🐢 You read, we wait. No page turns before you are ready!',
  },
  unknown: {
    human: () => 'no cause was measured',
    cute: '🌫️ We got slower and honestly cannot see why. We keep walking!',
  },
};

export const INTERRUPTION_EVENTS = {
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
  'batch.grew': requestEvent({
    ...CHANGE,
    actor: ENGINE,
    action: 'batch_grow',
    level: 'INFO',
    when: 'sequences of other requests have joined the steps of this request; at most once in 2 seconds, half a second after the change or later',
    human: (f) => movedHuman('joined', f),
    cute: (f) => `🐝 Scoot over! ${count(f.other_sequences, 'other bee')} on the bench with you now.`,
  }),
  'batch.shrank': requestEvent({
    ...CHANGE,
    actor: ENGINE,
    action: 'batch_shrink',
    level: 'INFO',
    when: 'sequences of other requests have left the steps of this request, or are paused; at most once in 2 seconds, half a second after the change or later',
    human: (f) => movedHuman('left', f),
    cute: (f) =>
      f.other_sequences === 0 ? '🦋 All the bench for you alone. Stretch your wings!' : '🦋 More room on the bench!',
  }),
  'generation.slowed': requestEvent({
    actor: ENGINE,
    action: 'slow_down',
    level: 'INFO',
    when: 'the request has decoded at less than half of its best speed for 2 seconds; once for each slow phase, and again if the measured cause changes',
    required: ['cause', 'tokens_per_sec', 'tokens_per_sec_best', 'window_ms', 'other_sequences'],
    optional: ['cause_percent', 'prompt_tokens_beside', 'paused_ms', 'cpu_pressure_percent'],
    human: (f) =>
      `Speed fell from ${formatRate(f.tokens_per_sec_best)} to ${formatRate(f.tokens_per_sec)} tokens/s: ${CAUSES[f.cause]?.human(f) ?? f.cause}`,
    cute: (f) => CAUSES[f.cause]?.cute ?? '🐌 A little slower now.',
  }),
  'reader.left': requestEvent({
    actor: HTTP,
    action: 'reader_left',
    level: 'WARN',
    when: 'the last subscriber left before the last event and the job stops',
    required: ['tokens_out'],
    human: (f) => `Last subscriber left after ${count(f.tokens_out, 'token')}; HTTP server stops the generation`,
    cute: () => '👋 Oh, you had to go? Come back any time!',
  }),
  'reader.detached': lifecycleEvent({
    actor: HTTP,
    action: 'reader_detached',
    level: 'INFO',
    when: 'the last subscriber left before the last event and the job continues (`on_disconnect`); once in 10 seconds for each job',
    required: ['times', 'timeout_ms'],
    human: (f) =>
      `Last subscriber left${often(f.times)}; the job continues and waits ${formatSeconds(f.timeout_ms)} for a subscriber`,
    cute: () => '🕯️ We keep working and leave a light in the window for you!',
  }),
  'reader.returned': lifecycleEvent({
    actor: HTTP,
    action: 'reader_returned',
    level: 'INFO',
    when: 'a subscriber connects to /jobs/{job_id}/events; once in 10 seconds for each job',
    required: ['times', 'events_replayed', 'readers'],
    human: (f) =>
      `Subscriber joined the stream${often(f.times)} (${f.readers} in total); HTTP server replays ${count(f.events_replayed, 'event')}`,
    cute: (f) =>
      f.events_replayed > 0
        ? `🤗 Welcome back! You missed ${count(f.events_replayed, 'thing')}: coming right up!`
        : '🤗 Welcome back! You missed nothing.',
  }),
  'reader.slow': requestEvent({
    actor: HTTP,
    action: 'reader_slow',
    level: 'WARN',
    when: 'all subscribers lag so far behind that narrations and metrics are skipped; tokens are never skipped',
    required: ['shed'],
    human: (f) => `Subscriber is slow; HTTP server has skipped ${count(f.shed, 'event')} so far, but no tokens`,
    cute: () => '🐌 No hurry! We whisper a little less until you catch up.',
  }),
  'reader.dropped': requestEvent({
    actor: HTTP,
    action: 'reader_dropped',
    level: 'WARN',
    when: 'a subscriber read nothing for too long and its connection is closed; other subscribers, or a job that continues without one, are not affected',
    required: ['unread_bytes', 'timeout_ms'],
    human: (f) =>
      `Subscriber read nothing for ${formatSeconds(f.timeout_ms)}, ${formatBytes(f.unread_bytes)} are unread; HTTP server closes its connection`,
    cute: () => '💤 Sleep well! The story is kept for when you wake up.',
  }),
  'generation.paused': requestEvent({
    actor: HTTP,
    action: 'generation_pause',
    level: 'INFO',
    when: 'all subscribers lag so far behind that the generation pauses, or there is no subscriber and the event log is full; the request keeps its slot',
    required: ['unread_bytes'],
    human: (f) => `HTTP server pauses the generation because ${formatBytes(f.unread_bytes)} are unread`,
    cute: () => '⏸️ We hold our breath until you have caught up!',
  }),
  'generation.resumed': requestEvent({
    actor: HTTP,
    action: 'generation_resume',
    level: 'INFO',
    when: 'a subscriber has caught up and the generation continues',
    required: ['duration_ms'],
    human: (f) => `HTTP server resumes the generation after a pause of ${formatMs(f.duration_ms)}`,
    cute: () => '▶️ There you are! Where were we? Ah, yes…',
  }),
  'request.cancelled': requestEvent({
    actor: ENGINE,
    action: 'cancel',
    level: 'INFO',
    when: 'a cancelled request has released its slot',
    required: ['reason', 'duration_ms', 'tokens_discarded'],
    human: (f) =>
      `Engine cancelled the request in ${f.duration_ms.toFixed(1)} ms after ${count(f.tokens_discarded, 'token')} (${f.reason})`,
    cute: () => '🛑 Stopped, tidied up, no hard feelings!',
  }),
  'cancel.unconfirmed': requestEvent({
    actor: ENGINE,
    action: 'cancel',
    level: 'WARN',
    when: 'the engine does not confirm a cancel in time; the request ends, and its slot stays busy until the engine reports it free',
    required: ['reason', 'duration_ms'],
    human: (f) =>
      `Engine did not confirm the cancel within ${formatMs(f.duration_ms)}; the slot stays busy (${f.reason})`,
    cute: () => '🤫 The engine is lost in thought. No need to wait for it!',
  }),
  'request.draining': requestEvent({
    actor: HTTP,
    action: 'drain',
    level: 'WARN',
    when: 'the worker starts to drain while this request runs',
    required: ['timeout_ms'],
    human: (f) => `Worker is stopping; this request has ${formatSeconds(f.timeout_ms)} to finish`,
    cute: () => '🌅 The hive closes soon, but you may finish first!',
  }),
  'request.requeued': requestEvent({
    actor: ENGINE,
    action: 'queue',
    level: 'WARN',
    when: 'the engine process ended before the request had a slot; the request waits for the next engine process',
    required: ['reason'],
    human: (f) => `The request waits for a new engine process; the last one was lost (${f.reason})`,
    cute: () => '🪑 The engine fainted, but we keep your place in line!',
  }),
  'request.engine_lost': requestEvent({
    actor: ENGINE,
    action: 'error',
    level: 'ERROR',
    when: 'the engine process ended while this request ran, and the request is not continued: with --on-engine-loss fail, if no other engine starts, or if the request has ended several engines',
    required: ['error_kind', 'reason'],
    optional: ['engine_losses'],
    human: (f) =>
      f.engine_losses === undefined
        ? `The request can be retried: the engine process was lost (${f.reason})`
        : `Change the request: ${count(f.engine_losses, 'engine')} were lost while it ran, the last one with it alone (${f.reason})`,
    cute: () => '💔 The engine fainted mid-sentence. Please ask again in a moment!',
  }),
  'inference.failed': requestEvent({
    actor: ENGINE,
    action: 'error',
    level: (f) => (f.error_kind === 'cancelled' ? 'INFO' : 'ERROR'),
    when: 'the request ends with an error, a cancel or a timeout',
    required: ['error_kind', 'reason', 'tokens_out'],
    human: (f) => `Inference ended early after ${count(f.tokens_out, 'token')} (${f.error_kind}): ${f.reason}`,
    cute: () => '🌧️ This one did not work out. Shall we try again?',
  }),
} as const;
