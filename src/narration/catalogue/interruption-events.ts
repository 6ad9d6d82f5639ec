/**
 * Sentences about subscribers that fall behind or leave, and requests that end early. Request events: stdout and the stream of the request.
 */
import { requestEvent } from '../entry.ts';
import { count, size, time } from '../phrases.ts';

const HTTP = 'http-server';
const ENGINE = 'inference-engine';

export const INTERRUPTION_EVENTS = {
  'reader.left': requestEvent({
    actor: HTTP,
    action: 'reader_left',
    level: 'WARN',
    when: 'the last connection of the stream closed before its last event, and the job stops',
    required: ['tokens_out'],
    human: (f) => `Reader left after ${count(f.tokens_out, 'token')}; HTTP server stops the generation`,
    cute: () => '👋 Oh, you had to go? Come back any time!',
  }),
  'reader.detached': requestEvent({
    actor: HTTP,
    action: 'reader_detached',
    level: 'INFO',
    when: 'the last connection of the stream closed before its last event, and the job goes on (`on_disconnect`)',
    required: ['timeout_ms'],
    human: (f) =>
      `Reader left; the job goes on and waits ${Math.round(f.timeout_ms / 1000)} s for somebody to come back`,
    cute: () => '🕯️ We keep working, and leave a light in the window for you!',
  }),
  'reader.returned': requestEvent({
    actor: HTTP,
    action: 'reader_returned',
    level: 'INFO',
    when: 'somebody reads the stream at /jobs/{job_id}/events',
    required: ['events_replayed', 'readers'],
    human: (f) =>
      `Reader came to the stream, one of ${f.readers}; HTTP server replays ${count(f.events_replayed, 'event')}`,
    cute: (f) =>
      f.events_replayed > 0
        ? `🤗 Welcome back! Here are the ${count(f.events_replayed, 'thing')} you missed.`
        : '🤗 Welcome back! You missed nothing.',
  }),
  'reader.slow': requestEvent({
    actor: HTTP,
    action: 'reader_slow',
    level: 'WARN',
    when: 'the reader lags so far behind that narration and metrics are held back; tokens never are',
    required: ['shed'],
    human: (f) => `Reader is slow: HTTP server held back ${count(f.shed, 'narration')} so far`,
    cute: () => '🐌 No hurry! We whisper a little less until you catch up.',
  }),
  'reader.dropped': requestEvent({
    actor: HTTP,
    action: 'reader_dropped',
    level: 'WARN',
    when: 'a reader took nothing for too long and its connection is closed; others, or a job that goes on, do not notice',
    required: ['unread_bytes', 'timeout_ms'],
    human: (f) =>
      `Reader took nothing for ${Math.round(f.timeout_ms / 1000)} s with ${size(f.unread_bytes)} unread; its connection is closed`,
    cute: () => '💤 Sleep well! The story is kept for when you wake up.',
  }),
  'generation.paused': requestEvent({
    actor: HTTP,
    action: 'generation_pause',
    level: 'INFO',
    when: 'every reader lags so far behind that the generation pauses, or nobody reads and the log is full; its slot stays',
    required: ['unread_bytes'],
    human: (f) => `HTTP server pauses the generation: ${size(f.unread_bytes)} are unread`,
    cute: () => '⏸️ We hold our breath until you have caught up!',
  }),
  'generation.resumed': requestEvent({
    actor: HTTP,
    action: 'generation_resume',
    level: 'INFO',
    when: 'a reader has caught up and the generation goes on',
    required: ['duration_ms'],
    human: (f) => `Generation goes on after a pause of ${time(f.duration_ms)}`,
    cute: () => '▶️ There you are! Where were we? Ah, yes…',
  }),
  'request.cancelled': requestEvent({
    actor: ENGINE,
    action: 'cancel',
    level: 'INFO',
    when: 'a cancelled request has given its slot back',
    required: ['reason', 'duration_ms', 'tokens_discarded'],
    human: (f) =>
      `Engine freed the slot ${f.duration_ms.toFixed(1)} ms after the cancel (${f.reason}); ${count(f.tokens_discarded, 'token')} thrown away`,
    cute: () => '🛑 Stopped, tidied up, no hard feelings!',
  }),
  'cancel.unconfirmed': requestEvent({
    actor: ENGINE,
    action: 'cancel',
    level: 'WARN',
    when: 'the engine does not answer a cancel: the request ends without it, and its slot is free when the engine says so',
    required: ['reason', 'duration_ms'],
    human: (f) => `Engine is silent ${time(f.duration_ms)} after the cancel (${f.reason}); its slot comes back later`,
    cute: () => '🤫 The engine is lost in thought. You need not wait for it!',
  }),
  'request.draining': requestEvent({
    actor: HTTP,
    action: 'drain',
    level: 'WARN',
    when: 'the worker drains while this request runs',
    required: ['timeout_ms'],
    human: (f) => `Worker is stopping; this request has ${Math.round(f.timeout_ms / 1000)} s to finish`,
    cute: () => '🌅 The hive closes soon, but you may finish first!',
  }),
  'request.requeued': requestEvent({
    actor: ENGINE,
    action: 'queue',
    level: 'WARN',
    when: 'the engine process ended before the request had a slot; it waits for the next one',
    required: ['reason'],
    human: (f) => `Engine process was lost (${f.reason}); the request waits for the next one`,
    cute: () => '🪑 The engine fainted, but your place in the line is kept!',
  }),
  'request.engine_lost': requestEvent({
    actor: ENGINE,
    action: 'error',
    level: 'ERROR',
    when: 'the engine process ended while this request ran',
    required: ['error_kind', 'reason'],
    human: (f) => `Engine process was lost (${f.reason}); the request can be tried again`,
    cute: () => '💔 The engine fainted mid-sentence. Please ask again in a moment!',
  }),
  'inference.failed': requestEvent({
    actor: ENGINE,
    action: 'error',
    level: (f) => (f.error_kind === 'cancelled' ? 'INFO' : 'ERROR'),
    when: 'the request ends with an error, a cancel or a time-out',
    required: ['error_kind', 'reason', 'tokens_out'],
    human: (f) => `Inference ended early (${f.error_kind}) after ${count(f.tokens_out, 'token')}: ${f.reason}`,
    cute: () => '🌧️ This one did not work out. Shall we try again?',
  }),
} as const;
