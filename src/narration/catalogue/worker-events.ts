/**
 * Sentences about the worker process: start, sockets, log, stop. Lifecycle events: they go to
 * stdout only.
 */
import { shorten } from '../../protocol/text/error-message.ts';
import { lifecycleEvent } from '../entry.ts';
import { count, formatSeconds } from '../phrases.ts';

const WORKER = 'rbees-workerd';
const HTTP = 'http-server';

/** The remedies for the error codes of an address that the server cannot use. */
const BIND_REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Choose another --port, or 0 for a free one: a process uses the address already',
  EADDRNOTAVAIL: 'Choose a --host of this machine: no network interface has this address',
  EACCES: 'Choose a --port from 1024 on: the system does not allow lower ones to this user',
  ENOTFOUND: 'Choose a --host that this machine can resolve, or an IP address',
  EAFNOSUPPORT: 'Choose a --host of the other version of IP: the system does not support this one',
};
const CHOOSE_ADDRESS = 'Choose another --host or --port';

export const WORKER_EVENTS = {
  'worker.startup': lifecycleEvent({
    actor: WORKER,
    action: 'startup',
    level: 'INFO',
    when: 'the worker has read its settings; slots and context_length are present if the settings give them, and warmup.done has the values of the loaded model',
    required: ['version', 'node_version', 'instance_id', 'pid', 'started_at', 'schema_version', 'model_ref'],
    optional: ['slots', 'context_length', 'token_fingerprint', 'settings_file', 'settings'],
    target: (_, worker) => worker,
    human: (f) =>
      `Worker starts: version ${f.version}, Node ${f.node_version}, process ${f.pid}, model ${shorten(f.model_ref, 32)}`,
    cute: (f) => `🐝 A little worker bee wakes up and stretches its wings for ${shorten(f.model_ref, 60)}!`,
  }),
  'watchdog.missing': lifecycleEvent({
    actor: WORKER,
    action: 'watchdog_start',
    level: 'WARN',
    when: 'the thread that ends a worker with a blocked event loop is not available: only SIGKILL ends such a worker',
    required: ['reason'],
    target: (_, worker) => worker,
    human: (f) => `Worker has no watchdog, so only SIGKILL ends a blocked event loop: ${f.reason}`,
    cute: () => '🐕 The watchdog sleeps today. The little bee promises to listen by itself!',
  }),
  'server.start': lifecycleEvent({
    actor: HTTP,
    action: 'server_start',
    level: 'INFO',
    when: 'the HTTP server is about to listen',
    required: ['address'],
    target: (f) => f.address,
    human: (f) => `HTTP server starts on ${shorten(f.address, 70)}`,
    cute: (f) => `🚪 Unlocking the front door at ${shorten(f.address, 90)}…`,
  }),
  'server.bound': lifecycleEvent({
    actor: HTTP,
    action: 'server_bind',
    level: 'INFO',
    always: true,
    when: 'the HTTP server listens; the address contains the actual port, also with --port 0',
    required: ['address', 'url'],
    target: (f) => f.address,
    human: (f) => `HTTP server listens on ${shorten(f.address, 70)}`,
    cute: (f) => `📬 The letterbox at ${shorten(f.address, 90)} is open!`,
  }),
  'page.ready': lifecycleEvent({
    actor: HTTP,
    action: 'page_serve',
    level: 'INFO',
    when: 'the worker is ready and serves its web page (--page)',
    required: ['url'],
    target: (f) => f.url,
    human: (f) => `Open ${shorten(f.url, 80)} in a browser`,
    cute: (f) => `🌼 Come in and say hello: ${shorten(f.url, 90)}`,
  }),
  'server.bind_failed': lifecycleEvent({
    actor: HTTP,
    action: 'error',
    level: 'FATAL',
    when: 'the HTTP server cannot listen on its address; the worker exits with code 1',
    required: ['address', 'error_kind', 'reason'],
    target: (f) => f.address,
    human: (f) =>
      `${BIND_REMEDIES[f.reason] ?? CHOOSE_ADDRESS}. HTTP server cannot listen on ${shorten(f.address, 80)}: ${f.reason}`,
    cute: (f) => `🏠 Somebody already lives at ${shorten(f.address, 90)}. No hard feelings!`,
  }),
  'connections.refused': lifecycleEvent({
    actor: HTTP,
    action: 'connection_refuse',
    level: 'WARN',
    when: 'new connections met --max-connections: idle ones were closed for them, or they were refused because all others were busy; reported at most every 10 s, with all since the last report',
    required: ['connections', 'connections_evicted', 'connections_limit'],
    target: (f) => count(f.connections + f.connections_evicted, 'connection'),
    human: (f) =>
      `--max-connections ${f.connections_limit} is reached: ${count(f.connections, 'connection')} refused, ${f.connections_evicted} idle closed`,
    cute: () => '🚪 The hive is full to the brim. One at a time, dears!',
  }),
  'auth.refused': lifecycleEvent({
    actor: HTTP,
    action: 'auth_refuse',
    level: 'WARN',
    when: 'requests without the right token were answered with 401; reported at most every 10 s, with all since the last report',
    required: ['requests_refused', 'client_address'],
    target: (f) => f.client_address,
    human: (f) =>
      `Refused ${count(f.requests_refused, 'request')} without the right token, last from ${f.client_address}`,
    cute: () => '🔑 Somebody tried a key that does not fit. The door stays shut, kindly!',
  }),
  'origin.refused': lifecycleEvent({
    actor: HTTP,
    action: 'origin_refuse',
    level: 'WARN',
    when: 'requests of other origins, or with a foreign Host, were answered with 403; reported at most every 10 s, with all since the last report',
    required: ['requests_refused', 'client_address'],
    target: (f) => f.client_address,
    human: (f) => `Refused ${count(f.requests_refused, 'cross-origin request')}, last from ${f.client_address}`,
    cute: () => '🕸️ A page from far away knocked. We only dance with friends we know!',
  }),
  'stdout.lines_lost': lifecycleEvent({
    actor: WORKER,
    action: 'log',
    level: 'WARN',
    when: 'the worker dropped log lines because a slow reader or a full disk blocked standard output for too long',
    required: ['lines_lost'],
    target: () => 'stdout',
    human: (f) => `Worker dropped ${count(f.lines_lost, 'log line')} because standard output was blocked`,
    cute: () => '🍃 A few pages blew away while nobody was looking.',
  }),
  'worker.draining': lifecycleEvent({
    actor: WORKER,
    action: 'drain',
    level: 'INFO',
    when: 'the worker was asked to stop and waits for its requests to finish',
    required: ['reason', 'requests_running', 'timeout_ms'],
    target: (_, worker) => worker,
    human: (f) =>
      `Worker drains (${f.reason}) and waits up to ${formatSeconds(f.timeout_ms)} for ${count(f.requests_running, 'request')}`,
    cute: () => '🌅 Last orders, please! Everyone may finish their cup.',
  }),
  'server.shutdown': lifecycleEvent({
    actor: HTTP,
    action: 'server_shutdown',
    level: 'INFO',
    when: 'the last connection is closed and the process exits',
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
    when: 'the worker caught an unexpected error and keeps running',
    required: ['error_kind', 'reason'],
    target: (_, worker) => worker,
    human: (f) => `Worker caught an unexpected error (${f.error_kind}): ${f.reason}`,
    cute: () => '🐛 A bug among the bees. It has been written down!',
  }),
  'worker.failed': lifecycleEvent({
    actor: WORKER,
    action: 'error',
    level: 'FATAL',
    when: 'a fatal error stops the worker; it exits with code 1',
    required: ['error_kind', 'reason'],
    target: (_, worker) => worker,
    human: (f) => `Worker stops: ${f.reason}`,
    cute: () => '🕯️ The worker did its best and lies down now.',
  }),
} as const;
