/**
 * Entry of the engine process: passes messages from the IPC channel to the engine and back. The worker forks
 * the process, and the process ends with the worker. No other file of the engine uses the IPC channel.
 */
import { getPriority, setPriority } from 'node:os';
import { collectGarbage } from '../protocol/host/javascript-heap.ts';
import type { FromEngine, ToEngine } from '../protocol/messages.ts';
import { reportStarted } from '../protocol/start/started.ts';
import { probeDevices } from './devices/probe.ts';
import { Engine } from './engine.ts';
import { dieWithParent } from './ffi.ts';
import { trimHeap } from './host/heap.ts';
import { refusalOf } from './load/load-error.ts';

/**
 * Added to the niceness of this process; the runtime's threads inherit it. The runtime keeps all cores busy.
 * With equal priority, the worker, which answers health probes and writes streams, would wait for a core
 * until a step ends (docs/decisions/0016-the-engine-goes-second.md).
 */
const NICER = 5;
const NICEST = 19;

let engine: Engine | undefined;

function send(message: FromEngine, sent?: () => void): void {
  // The worker may have ended before `disconnect` arrives here. With a callback, a broken pipe is passed to
  // the callback and does not become an uncaught error.
  if (process.connected) process.send?.(message, undefined, undefined, () => sent?.());
}

function open({ options, aliveMs }: Extract<ToEngine, { kind: 'open' }>): void {
  try {
    if (engine) throw new Error('The engine is open already');
    engine = Engine.open(options, send);
    send({ kind: 'opened', facts: engine.facts });
    collectGarbage();
    trimHeap();
    if (aliveMs !== undefined) setInterval(() => send({ kind: 'alive' }), aliveMs);
    reportStarted();
  } catch (error) {
    send({ kind: 'refused', ...refusalOf(error) }, () => process.exit(1));
  }
}

/**
 * @throws Error if no model is open. This is a bug in the worker: the process ends with the error on stderr.
 */
function opened(): Engine {
  if (!engine) throw new Error('The engine was given work before a model');
  return engine;
}

function close(): void {
  engine?.close();
  process.exit(0);
}

/** Lowers the priority of this process. If the system refuses, the engine runs with normal priority. */
function lowerPriority(): void {
  try {
    setPriority(Math.min(NICEST, getPriority() + NICER));
  } catch {
    return;
  }
}

function receive(message: ToEngine): void {
  switch (message.kind) {
    case 'open':
      open(message);
      break;
    case 'probe':
      send({ kind: 'probed', probe: probeDevices(message.runtimeLibrary, message.devices) });
      break;
    case 'submit':
      // The silence of a long first step begins here, and not with the last sign of an idle engine.
      send({ kind: 'received' });
      opened().submit(message.request);
      break;
    case 'vocabulary':
      opened().setVocabulary(message.data);
      break;
    case 'cancel':
      opened().cancel(message.id);
      break;
    case 'pause':
    case 'resume':
      opened().pause(message.id, message.kind === 'pause');
      break;
    case 'close':
      close();
      break;
    default:
      throw new Error(`Unknown message ${JSON.stringify(message satisfies never)}`);
  }
}

dieWithParent();
lowerPriority();
// Ctrl-C in a terminal and a stop by a service manager signal the whole process group. The worker drains
// first, and then sends `close`, so this process ignores the signals. SIGUSR2 is for the worker, too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => undefined);
process.on('disconnect', close);
process.on('message', receive);
