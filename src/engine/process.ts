/**
 * The engine process: messages to the engine and back. Forked by the worker with an IPC channel and nothing else; it dies with the worker.
 * It may use the engine and the protocol, and is the engine side's only user of `process`.
 */
import { getPriority, setPriority } from 'node:os';
import type { EngineOptions } from '../protocol/loading.ts';
import type { FromEngine, ToEngine } from '../protocol/messages.ts';
import { probeDevices } from './devices/probe.ts';
import { Engine } from './engine.ts';
import { dieWithParent } from './ffi.ts';
import { refusalOf } from './load/load-error.ts';

/**
 * How much nicer than the worker this process is, and with it the runtime's threads, which inherit it. With as many busy threads as cores, the worker that answers
 * probes and writes streams would queue for a core behind steps (docs/decisions/0016-the-engine-goes-second.md).
 */
const NICER = 5;
const NICEST = 19;

let engine: Engine | undefined;

function send(message: FromEngine, sent?: () => void): void {
  // The worker may be gone before this process hears of it: `disconnect` follows, and there is nobody left to tell. With a callback, a pipe
  // that broke is told there and is no uncaught error.
  if (process.connected) process.send?.(message, undefined, undefined, () => sent?.());
}

function open(options: EngineOptions): void {
  try {
    if (engine) throw new Error('The engine is open already');
    engine = Engine.open(options, send);
    send({ kind: 'opened', facts: engine.facts });
  } catch (error) {
    send({ kind: 'refused', ...refusalOf(error) }, () => process.exit(1));
  }
}

/** What cannot be answered before a model is open is a fault of the worker's: the process ends with the error on stderr. */
function opened(): Engine {
  if (!engine) throw new Error('The engine was given work before a model');
  return engine;
}

function close(): void {
  engine?.close();
  process.exit(0);
}

/** A system that does not allow it runs the engine all the same. */
function goSecond(): void {
  try {
    setPriority(Math.min(NICEST, getPriority() + NICER));
  } catch {
    return;
  }
}

function receive(message: ToEngine): void {
  switch (message.kind) {
    case 'open':
      open(message.options);
      break;
    case 'probe':
      send({ kind: 'probed', probe: probeDevices(message.runtimeLibrary, message.devices) });
      break;
    case 'submit':
      opened().submit(message.request);
      break;
    case 'cancel':
      opened().cancel(message.id);
      break;
    case 'ping':
      send({ kind: 'pong' });
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
goSecond();
// A terminal's Ctrl-C and a service manager's stop reach the whole group: the worker drains first, and says when the engine is to end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', close);
process.on('message', receive);
