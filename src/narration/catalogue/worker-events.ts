/**
 * Sentences about the process itself: start, sockets, callback, log, stop. Lifecycle events: stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { count } from '../phrases.ts';

const WORKER = 'rbees-workerd';
const HTTP = 'http-server';

export const WORKER_EVENTS = {
  'worker.startup': lifecycleEvent({
    actor: WORKER,
    action: 'startup',
    level: 'INFO',
    when: 'the settings have been read',
    required: ['version', 'node_version', 'pid', 'model_ref'],
    optional: ['token_fingerprint'],
    target: (_, worker) => worker,
    human: (f) => `Worker starts: version ${f.version}, Node ${f.node_version}, process ${f.pid}, model ${f.model_ref}`,
    cute: (f) => `🐝 A little worker bee wakes up and stretches its wings for ${f.model_ref}!`,
  }),
  'server.start': lifecycleEvent({
    actor: HTTP,
    action: 'server_start',
    level: 'INFO',
    when: 'the HTTP server is about to listen',
    required: ['address'],
    target: (f) => f.address,
    human: (f) => `HTTP server opens ${f.address}`,
    cute: (f) => `🚪 Unlocking the front door at ${f.address}…`,
  }),
  'server.bound': lifecycleEvent({
    actor: HTTP,
    action: 'server_bind',
    level: 'INFO',
    when: 'the HTTP server listens; with port 0 this tells the port',
    required: ['address', 'url'],
    target: (f) => f.address,
    human: (f) => `HTTP server listens on ${f.address}`,
    cute: (f) => `📬 The letterbox at ${f.address} is open!`,
  }),
  'server.bind_failed': lifecycleEvent({
    actor: HTTP,
    action: 'error',
    level: 'FATAL',
    when: 'the address cannot be listened on; the worker exits 1',
    required: ['address', 'error_kind', 'reason'],
    target: (f) => f.address,
    human: (f) => `HTTP server cannot listen on ${f.address}: ${f.reason}`,
    cute: (f) => `🏠 Somebody already lives at ${f.address}. No hard feelings!`,
  }),
  'connections.refused': lifecycleEvent({
    actor: HTTP,
    action: 'connection_refuse',
    level: 'WARN',
    when: 'connections were closed because there were too many (--max-connections); told at most every 10 s',
    required: ['connections', 'connections_limit'],
    target: (f) => count(f.connections, 'connection'),
    human: (f) => `HTTP server closed ${count(f.connections, 'connection')} beyond the limit of ${f.connections_limit}`,
    cute: () => '🚪 The hive is full to the brim. One at a time, dears!',
  }),
  'callback.attempt': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'INFO',
    when: 'the pool-manager is about to be told',
    required: ['url', 'attempt', 'attempts'],
    target: (f) => f.url,
    human: (f) => `Worker reports ready to the pool-manager, attempt ${f.attempt} of ${f.attempts}`,
    cute: (f) =>
      f.attempt === 1
        ? '📞 Ring, ring… pool-manager, are you there?'
        : `📞 Ringing again (${f.attempt})… patience is a virtue!`,
  }),
  'callback.ready': lifecycleEvent({
    actor: WORKER,
    action: 'callback_ready',
    level: 'INFO',
    when: 'the pool-manager has answered 2xx',
    required: ['url', 'attempt', 'http_status', 'duration_ms'],
    target: (f) => f.url,
    human: (f) => `Pool-manager answered ${f.http_status} to the ready callback in ${Math.round(f.duration_ms)} ms`,
    cute: () => '🎉 The pool-manager waved back. We are part of the hive!',
    story: () => '"I am ready to work," said the worker. "Welcome to the hive," answered the pool-manager.',
  }),
  'callback.failed': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: (f) => (f.retry_after_ms === undefined ? 'FATAL' : 'WARN'),
    when: 'an attempt failed: refused, timed out or not 2xx; after the last the worker exits 1',
    required: ['url', 'attempt', 'attempts', 'error_kind', 'reason'],
    optional: ['retry_after_ms', 'http_status'],
    target: (f) => f.url,
    human: (f) => `Ready callback ${f.attempt} of ${f.attempts} failed: ${f.reason}`,
    cute: (f) =>
      f.retry_after_ms === undefined
        ? '🥀 Nobody picked up. The worker bows and leaves.'
        : '☎️ No answer yet. A short nap, then another try!',
  }),
  'stdout.lines_lost': lifecycleEvent({
    actor: WORKER,
    action: 'log',
    level: 'WARN',
    when: 'nobody read standard output for so long that lines were dropped',
    required: ['lines_lost'],
    target: () => 'stdout',
    human: (f) => `Worker dropped ${count(f.lines_lost, 'log line')} that nobody read`,
    cute: () => '🍃 A few pages blew away while nobody was reading.',
  }),
  'worker.draining': lifecycleEvent({
    actor: WORKER,
    action: 'drain',
    level: 'INFO',
    when: 'the worker was asked to stop and lets running requests finish',
    required: ['reason', 'requests_running', 'timeout_ms'],
    target: (_, worker) => worker,
    human: (f) =>
      `Worker drains (${f.reason}): ${count(f.requests_running, 'request')} may finish within ${Math.round(f.timeout_ms / 1000)} s`,
    cute: () => '🌅 Last orders, please! Everyone may finish their cup.',
  }),
  'server.shutdown': lifecycleEvent({
    actor: HTTP,
    action: 'server_shutdown',
    level: 'INFO',
    when: 'the last connection is closed; the process exits',
    required: ['reason'],
    optional: ['duration_ms'],
    target: (f) => f.reason,
    human: (f) => `HTTP server stopped (${f.reason})`,
    cute: () => '🌙 Lights out. Good night, hive!',
  }),
  'worker.fault': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: 'ERROR',
    when: 'the worker met a fault of its own; it goes on',
    required: ['error_kind', 'reason'],
    target: (_, worker) => worker,
    human: (f) => `Worker met a fault (${f.error_kind}): ${f.reason}`,
    cute: () => '🐛 A bug among the bees. It has been written down!',
  }),
  'worker.failed': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: 'FATAL',
    when: 'the worker cannot go on and exits 1',
    required: ['error_kind', 'reason'],
    target: (_, worker) => worker,
    human: (f) => `Worker stops: ${f.reason}`,
    cute: () => '🕯️ The worker did its best and lies down now.',
  }),
} as const;
