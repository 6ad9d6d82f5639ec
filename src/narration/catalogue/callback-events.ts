/**
 * Sentences about the ready callback. Lifecycle events: they go to stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { formatMs, formatSeconds } from '../phrases.ts';

const WORKER = 'rbees-workerd';

export const CALLBACK_EVENTS = {
  'callback.attempt': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'INFO',
    when: 'the worker is about to call the pool-manager',
    required: ['url', 'attempt', 'attempts'],
    target: (f) => f.url,
    human: (f) => `Worker reports ready to the pool-manager, attempt ${f.attempt} of ${f.attempts}`,
    cute: (f) =>
      f.attempt === 1
        ? '📞 Ring, ring… pool-manager, are you there?'
        : `📞 Ringing again (${f.attempt})… patience is a virtue!`,
  }),
  'callback.address': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'INFO',
    when: 'the worker listens on all addresses without --advertise-url: its report names the local address of the connection to the pool-manager, or to the proxy on the way; with a proxy on this machine, another address of the machine',
    required: ['url', 'uri'],
    target: (f) => f.uri,
    human: (f) => `Worker reports its address as ${f.uri}; --advertise-url would set another one`,
    cute: (f) => `🗺️ The little bee paints its own street on the map: ${f.uri}!`,
  }),
  'callback.ready': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'INFO',
    when: 'the pool-manager answered with a 2xx status',
    required: ['url', 'attempt', 'http_status', 'duration_ms'],
    target: (f) => f.url,
    human: (f) => `Pool-manager answered the ready callback with ${f.http_status} in ${formatMs(f.duration_ms)}`,
    cute: () => '🎉 The pool-manager waved back. We are part of the hive!',
    story: () => '"I am ready to work," said the worker. "Welcome to the hive," answered the pool-manager.',
  }),
  'callback.failed': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: (f) => (f.retry_after_ms === undefined ? 'FATAL' : 'WARN'),
    when: 'an attempt was refused, timed out or got no 2xx status; after the last attempt the worker exits with code 1',
    required: ['url', 'attempt', 'attempts', 'error_kind', 'reason'],
    optional: ['retry_after_ms', 'http_status'],
    target: (f) => f.url,
    human: (f) => {
      // Another attempt cannot help: the reason begins with the remedy.
      if (f.retry_after_ms === undefined && f.attempt < f.attempts)
        return `Ready callback failed for good: ${f.reason}`;
      const failure = `ready callback failed on attempt ${f.attempt} of ${f.attempts}: ${f.reason}`;
      return f.retry_after_ms === undefined
        ? `Check --callback-url and the pool-manager; ${failure}`
        : `Worker retries in ${formatSeconds(f.retry_after_ms)}; ${failure}`;
    },
    cute: (f) =>
      f.retry_after_ms === undefined
        ? '🥀 Nobody picked up. The worker bows and leaves.'
        : '☎️ No answer yet. A short nap, then another try!',
  }),
} as const;
