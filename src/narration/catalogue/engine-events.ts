/**
 * Sentences about the life of the engine process. Lifecycle events: they go to stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { count, formatMs } from '../phrases.ts';

const ENGINE = 'inference-engine';

export const ENGINE_EVENTS = {
  'engine.lost': lifecycleEvent({
    actor: ENGINE,
    action: 'error',
    level: 'ERROR',
    when: 'the engine process ended unexpectedly, or was killed after --step-timeout without a message',
    required: ['error_kind', 'reason', 'requests_running'],
    optional: ['requests_interrupted', 'requests_waiting', 'caused_by', 'exit_code', 'signal', 'stderr_tail'],
    target: () => 'engine',
    human: (f) => {
      const waiting = f.requests_waiting ? ` and ${f.requests_waiting} waiting` : '';
      const continued = f.requests_interrupted ? `; ${count(f.requests_interrupted, 'request')} will continue` : '';
      const cause = f.caused_by === 'request' ? '; one request has caused it' : '';
      return `Engine process was lost with ${count(f.requests_running, 'request')} running${waiting}: ${f.reason}${continued}${cause}`;
    },
    cute: () => '💔 The engine fainted. Smelling salts are on their way!',
  }),
  'engine.not_started': lifecycleEvent({
    actor: ENGINE,
    action: 'engine_restart',
    level: 'WARN',
    when: 'the system has no file descriptor, process or memory for the next engine process; the worker tries again',
    required: ['reason', 'attempt', 'attempts', 'retry_after_ms'],
    target: () => 'engine',
    human: (f) => `Raise ulimit -n or -u, or free memory: ${f.reason}; next try in ${formatMs(f.retry_after_ms)}`,
    cute: () => '🪫 No chair for the engine yet. It waits politely, then asks again!',
  }),
  'engine.restarted': lifecycleEvent({
    actor: ENGINE,
    action: 'engine_restart',
    level: 'INFO',
    when: 'a new engine process has opened the model',
    required: ['duration_ms', 'restarts'],
    optional: ['requests_interrupted'],
    target: () => 'engine',
    human: (f) => {
      const continued = f.requests_interrupted ? `; ${count(f.requests_interrupted, 'request')} go on` : '';
      return `Engine process restarted in ${formatMs(f.duration_ms)} (restart ${f.restarts} within ten minutes)${continued}`;
    },
    cute: () => '💪 The engine is on its feet again!',
  }),
  'cache.evicted': lifecycleEvent({
    actor: ENGINE,
    action: 'cache_evict',
    level: 'INFO',
    when: 'prefixes of ended requests were dropped from the cache, the least recently used first: running requests need the memory, or newer prefixes need the rows',
    required: ['prefixes_evicted', 'tokens_evicted'],
    target: () => 'engine',
    human: (f) => {
      const prefixes = f.prefixes_evicted === 1 ? 'a stored prefix' : `${f.prefixes_evicted} stored prefixes`;
      return `Engine dropped ${prefixes} from the cache: ${count(f.tokens_evicted, 'token')}`;
    },
    cute: () => '🍂 Old notes make room for new ones!',
  }),
  'engine.warning': lifecycleEvent({
    actor: ENGINE,
    action: 'warning',
    level: 'WARN',
    when: 'the runtime wrote a line to the standard error of the engine process',
    required: ['reason'],
    target: () => 'engine',
    human: (f) => `Engine process logged: ${f.reason}`,
    cute: () => '🔧 The engine mumbles something about bolts.',
  }),
} as const;
