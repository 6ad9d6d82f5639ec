/**
 * Sentences about the ready callback and the line of `--ready-fd`. Lifecycle events: they go to stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { count, formatMs, formatSeconds } from '../phrases.ts';

const WORKER = 'rbees-workerd';

export const CALLBACK_EVENTS = {
  'callback.attempt': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'INFO',
    when: 'the worker is about to call the pool-manager: the model is loaded (`started`), or `POST /announce` (`announce`) or SIGUSR2 (`signal`) asked for it',
    required: ['url', 'announcement', 'attempt', 'reason'],
    target: (f) => f.url,
    human: (f) => `Worker reports ready to the pool-manager (${f.reason}), attempt ${f.attempt}`,
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
  'callback.unreachable': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'WARN',
    when: 'the report names a loopback address, and the connection leads to a pool-manager on another machine, which cannot reach that address; reported once',
    required: ['url', 'uri'],
    target: (f) => f.uri,
    human: (f) =>
      `Set --advertise-url, or --host to an address that the pool-manager reaches: it is on another machine, and the report names ${f.uri}`,
    cute: () => '🏝️ The little bee wrote "my house" as its address. Which street, dear?',
  }),
  'callback.ready': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'INFO',
    when: 'the pool-manager answered with a 2xx status',
    required: ['url', 'announcement', 'attempt', 'http_status', 'duration_ms'],
    target: (f) => f.url,
    human: (f) => `Pool-manager answered the ready callback with ${f.http_status} in ${formatMs(f.duration_ms)}`,
    cute: () => '🎉 The pool-manager waved back. We are part of the hive!',
    story: () => '"I am ready to work," said the worker. "Welcome to the hive," answered the pool-manager.',
  }),
  'callback.failed': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: (f) => (f.retry_after_ms === undefined ? 'FATAL' : 'WARN'),
    when: 'an attempt was refused, timed out or got no 2xx status; FATAL: it was the last attempt (the time of --callback-give-up is over, or no other attempt can help), the pool-manager never accepted this worker, and the worker exits with code 1',
    required: ['url', 'announcement', 'attempt', 'error_kind', 'reason'],
    optional: ['retry_after_ms', 'timeout_ms', 'http_status'],
    target: (f) => f.url,
    human: (f) => {
      if (f.retry_after_ms !== undefined)
        return `Worker retries in ${formatSeconds(f.retry_after_ms)}; ready callback failed on attempt ${f.attempt}: ${f.reason}`;
      // Without a time limit, another attempt cannot help, and the reason begins with the remedy.
      return f.timeout_ms === undefined
        ? `Ready callback failed for good: ${f.reason}`
        : `Check --callback-url and the pool-manager; ready callback failed for ${formatSeconds(f.timeout_ms)}, attempt ${f.attempt}: ${f.reason}`;
    },
    cute: (f) =>
      f.retry_after_ms === undefined
        ? '🥀 Nobody picked up. The worker bows and leaves.'
        : '☎️ No answer yet. A short nap, then another try!',
  }),
  'callback.abandoned': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: 'ERROR',
    when: 'the last attempt of an announcement failed, and the pool-manager has accepted an earlier one: the worker keeps serving, and announces itself again only when it is asked to',
    required: ['url', 'announcement', 'attempt', 'error_kind', 'reason'],
    optional: ['timeout_ms', 'http_status'],
    target: (f) => f.url,
    human: (f) => `Ask again with POST /announce or SIGUSR2; the worker serves, but its report failed: ${f.reason}`,
    cute: () => '📪 Nobody picked up this time. The little bee keeps humming and waits for a call.',
  }),
  'callback.unset': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'WARN',
    when: 'the worker got SIGUSR2 and has no --callback-url; reported at most every 10 s, with all since the last report',
    required: ['times'],
    target: (_, worker) => worker,
    human: (f) =>
      `Start the worker with --callback-url: without it, SIGUSR2 announces nothing (${count(f.times, 'time')})`,
    cute: () => '📞 The little bee would love to call, but nobody gave it a number!',
  }),
  'ready_fd.written': lifecycleEvent({
    actor: WORKER,
    action: 'ready_line',
    level: 'INFO',
    when: 'the worker has written its line into the descriptor of --ready-fd, and has closed it',
    required: ['descriptor'],
    target: (f) => `descriptor ${f.descriptor}`,
    human: (f) => `Worker wrote its address into descriptor ${f.descriptor} and closed it`,
    cute: () => '🕊️ A little note flies through the pipe: here I am!',
  }),
  'ready_fd.failed': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: 'WARN',
    when: 'the worker could not write its line into the descriptor of --ready-fd, for example because the other end is closed; the worker keeps serving',
    required: ['descriptor', 'error_kind', 'reason'],
    target: (f) => `descriptor ${f.descriptor}`,
    human: (f) =>
      `Keep the other end of --ready-fd ${f.descriptor} open until the line has arrived: writing failed with ${f.reason}`,
    cute: () => '🍂 The note found no reader and sailed away on the wind.',
  }),
} as const;
