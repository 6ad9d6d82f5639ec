/**
 * The sentences about those who read a stream: a part of the catalogue, laid out in the same way.
 */
import { request } from './entry.ts';
import { count, size, time } from './phrases.ts';

const HTTP = 'http-server';

export const READERS = {
  'reader.left': request([HTTP, 'reader_left'], 'WARN', 'the last connection of the stream closed before its last event, and the job stops', { has: ['tokens_out'] }, {
    human: (f) => `Reader left after ${count(f.tokens_out, 'token')}; HTTP server stops the generation`,
    cute: () => '👋 Oh, you had to go? Come back any time!',
  }),
  'reader.detached': request([HTTP, 'reader_detached'], 'INFO', 'the last connection of the stream closed before its last event, and the job goes on (`on_disconnect`)', { has: ['timeout_ms'] }, {
    human: (f) => `Reader left; the job goes on and waits ${Math.round(f.timeout_ms / 1000)} s for somebody to come back`,
    cute: () => '🕯️ We keep working, and leave a light in the window for you!',
  }),
  'reader.returned': request([HTTP, 'reader_returned'], 'INFO', 'somebody reads the stream at /jobs/{job_id}/events', { has: ['events_replayed', 'readers'] }, {
    human: (f) => `Reader came to the stream, one of ${f.readers}; HTTP server replays ${count(f.events_replayed, 'event')}`,
    cute: (f) => (f.events_replayed > 0 ? `🤗 Welcome back! Here are the ${count(f.events_replayed, 'thing')} you missed.` : '🤗 Welcome back! You missed nothing.'),
  }),
  'reader.slow': request([HTTP, 'reader_slow'], 'WARN', 'the reader lags so far behind that narration and metrics are held back; tokens never are', { has: ['shed'] }, {
    human: (f) => `Reader is slow: HTTP server held back ${count(f.shed, 'narration')} so far`,
    cute: () => '🐌 No hurry! We whisper a little less until you catch up.',
  }),
  'reader.dropped': request([HTTP, 'reader_dropped'], 'WARN', 'a reader took nothing for too long and its connection is closed; others, or a job that goes on, do not notice', { has: ['unread_bytes', 'timeout_ms'] }, {
    human: (f) => `Reader took nothing for ${Math.round(f.timeout_ms / 1000)} s with ${size(f.unread_bytes)} unread; its connection is closed`,
    cute: () => '💤 Sleep well! The story is kept for when you wake up.',
  }),
  'generation.paused': request([HTTP, 'generation_pause'], 'INFO', 'every reader lags so far behind that the generation pauses, or nobody reads and the log is full; its slot stays', { has: ['unread_bytes'] }, {
    human: (f) => `HTTP server pauses the generation: ${size(f.unread_bytes)} are unread`,
    cute: () => '⏸️ We hold our breath until you have caught up!',
  }),
  'generation.resumed': request([HTTP, 'generation_resume'], 'INFO', 'a reader has caught up and the generation goes on', { has: ['duration_ms'] }, {
    human: (f) => `Generation goes on after a pause of ${time(f.duration_ms)}`,
    cute: () => '▶️ There you are! Where were we? Ah, yes…',
  }),
} as const;
