/**
 * Entry of the watchdog thread. It receives SIGTERM, SIGINT, SIGHUP and the end of standard input by an event
 * loop of its own, while JavaScript blocks the main thread. Before a request to stop it does nothing. After
 * one it asks the main thread for an answer, again and again, and ends the process when the answers stop.
 */
import { write } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import type { WatchdogOrder } from './watchdog.ts';

const STDIN = 0;
const STDERR = 2;
/** Signals of which the second one forces the stop. */
const SIGNALS = { SIGTERM: 15, SIGINT: 2 } as const;
const SIGHUP = 1;
/** Time for the line on standard error: its reader may be blocked. */
const LINE_MS = 100;

/** The signal watcher of Node.js (src/signal_wrap.cc), which `process.on` uses in the main thread. */
interface SignalWatcher {
  onsignal: () => void;
  /** @returns 0, or the negative number of an error */
  start(signal: number): number;
}

const load = createRequire(import.meta.url);

/** Decides when the main thread has been silent for too long. */
class LoopWatch {
  readonly #order: WatchdogOrder;
  readonly #answers: Int32Array;
  #signals = 0;
  #asked = 0;
  /** Ticks since the last answer. Ticks, because a process that was suspended has not been silent. */
  #silentTicks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(order: WatchdogOrder) {
    this.#order = order;
    this.#answers = new Int32Array(order.answers);
  }

  /** SIGTERM or SIGINT. The third and later ones gain no time. */
  signal(name: string): void {
    this.#signals += 1;
    if (this.#signals <= 2) this.#silentTicks = 0;
    this.request(name);
  }

  /** A source requested a stop. A later request gains no time. */
  request(source: string): void {
    this.#ask();
    this.#timer ??= setInterval(() => this.#tick(source), this.#order.tickMs);
  }

  #ask(): void {
    this.#asked += 1;
    parentPort?.postMessage(this.#asked);
  }

  #tick(source: string): void {
    if (Atomics.load(this.#answers, 0) === this.#asked) {
      this.#silentTicks = 0;
      this.#ask();
      return;
    }
    this.#silentTicks += 1;
    const { tickMs, silenceMs, forcedSilenceMs } = this.#order;
    const forced = this.#signals > 1;
    const limit = forced ? forcedSilenceMs : silenceMs;
    if (this.#silentTicks * tickMs < limit) return;
    clearInterval(this.#timer);
    const request = forced ? 'a second signal' : source;
    endProcess(
      `rbees-workerd: the event loop did not answer ${request} within ${limit / 1000} s: the worker ends at once\n`,
      this.#order.interruptMs,
    );
  }
}

/**
 * Ends the process with exit code 1, in the main thread and in the middle of its work: the debugger of
 * Node.js interrupts loops and regular expressions. SIGKILL ends a process that does not react, for example
 * because it waits in a system call.
 */
function endProcess(reason: string, interruptMs: number): void {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), interruptMs);
  let isLate = false;
  const interrupt = (): void => {
    try {
      const { Session } = load('node:inspector') as typeof import('node:inspector');
      const session = new Session();
      session.connectToMainThread();
      session.post('Runtime.evaluate', { expression: 'process.reallyExit(1)' });
    } catch {
      // This Node.js has no debugger: SIGKILL follows.
    }
  };
  const late = setTimeout(() => {
    isLate = true;
    interrupt();
  }, LINE_MS);
  write(STDERR, reason, () => {
    clearTimeout(late);
    if (!isLate) interrupt();
  });
}

/** @throws Error if this version of Node.js has no signal watcher for threads. */
function newSignalWatcher(): SignalWatcher {
  const { internalBinding } = load('internal/test/binding') as {
    internalBinding: (name: 'signal_wrap') => { Signal: new () => SignalWatcher };
  };
  return new (internalBinding('signal_wrap').Signal)();
}

/** @throws Error if the signal cannot be watched. */
function watchSignal(name: string, number: number, received: () => void): void {
  const watcher = newSignalWatcher();
  watcher.onsignal = received;
  const problem = watcher.start(number);
  if (problem !== 0) throw new Error(`${name} cannot be watched in a thread: error ${problem}`);
}

function watchStdin(ended: () => void): void {
  // The main thread reads the same pipe. Both drop its data, and both see its end.
  const stdin = new Socket({ fd: STDIN, readable: true, writable: false });
  stdin.on('end', ended).on('close', ended).on('error', ended).resume();
}

function watchParent(everyMs: number, gone: () => void): void {
  const initial = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === initial) return;
    clearInterval(timer);
    gone();
  }, everyMs);
}

const order = workerData as WatchdogOrder;
const watch = new LoopWatch(order);
for (const [name, number] of Object.entries(SIGNALS)) watchSignal(name, number, () => watch.signal(name));
if (order.watched.hangup) watchSignal('SIGHUP', SIGHUP, () => watch.request('SIGHUP'));
if (order.watched.stdin) watchStdin(() => watch.request('the end of standard input'));
if (order.watched.parent) watchParent(order.parentMs, () => watch.request('the end of its parent process'));
parentPort?.postMessage(0); // The thread watches.
