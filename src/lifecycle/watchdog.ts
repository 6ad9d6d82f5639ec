/**
 * The worker's side of the watchdog: a thread that receives the requests to stop too, and ends the process if
 * the event loop does not answer (docs/decisions/0020-stop-signals-outside-of-the-event-loop.md).
 */
import { Worker } from 'node:worker_threads';
import { leaveRemovedFolder } from '../config/host/folder.ts';
import { WATCHDOG_THREAD_ENTRY } from '../config/paths.ts';
import { messageOf } from '../protocol/text/error-message.ts';
import { PARENT_MS } from './stop-requests.ts';

/** Silence of the event loop after the first request to stop, after which the watchdog ends the process. */
export const MAX_LOOP_SILENCE_MS = 5000;
/** The same after a second signal, which demands an end at once. */
export const MAX_LOOP_SILENCE_FORCED_MS = 500;
/** Time in which an interrupt must end the process; then SIGKILL does. */
export const MAX_INTERRUPT_MS = 1000;
/** Ceiling of the wait for the start of the thread, which takes some 50 ms of a processor. */
export const WATCHDOG_START_MS = 2000;
/** Time between two questions of the thread, after a request to stop. Before one, the thread is idle. */
const WATCHDOG_TICK_MS = 100;

/**
 * Least limit of open files for the thread. On Node 24 an idle worker has 32 descriptors, 6 of them for the
 * thread: with `ulimit -n 32`, no request would get one.
 */
export const LEAST_OPEN_FILES = 48;

/** MiB of the heap of the thread. 3 MiB are in use. */
const HEAP_MIB = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 };

/** The sources of requests to stop, besides signals. */
export interface Watched {
  /** True if standard input is a pipe: its end is a request to stop. */
  readonly stdin: boolean;
  /** True if the end of the parent process is a request to stop. */
  readonly parent: boolean;
  /** True if SIGHUP is a request to stop; false if the process ignores it. */
  readonly hangup: boolean;
}

/** The thread. */
export interface Watchdog {
  /**
   * Resolves with the reason if the thread is not available: the limit of open files is too low, this version
   * of Node.js has no signal watchers for threads, or the thread has ended.
   */
  readonly missing: Promise<string>;
  /**
   * Resolves when the thread watches, or is missing. The process must not exit before: Node.js 20 aborts in
   * libuv (`uv__close: Assertion`) if it ends a thread that is starting, and the exit code is lost: 23 of 150
   * starts on a taken port.
   */
  readonly settled: Promise<unknown>;
}

/** The data of the thread. */
export interface WatchdogOrder {
  readonly watched: Watched;
  /** One Int32: the number of the last question that the event loop answered. */
  readonly answers: SharedArrayBuffer;
  readonly tickMs: number;
  /** Time between two checks of the parent process. */
  readonly parentMs: number;
  readonly silenceMs: number;
  readonly forcedSilenceMs: number;
  readonly interruptMs: number;
}

/**
 * Starts the thread, which does not keep the process alive. The main thread must handle the requests already:
 * from now on, the default of SIGTERM, SIGINT and SIGHUP no longer ends the process.
 * @param openFiles maximum number of open file descriptors of the process; undefined if it is not known
 */
export function startWatchdog(watched: Watched, openFiles: number | undefined): Watchdog {
  if (openFiles !== undefined && openFiles < LEAST_OPEN_FILES) {
    const missing = Promise.resolve(
      `raise ulimit -n to ${LEAST_OPEN_FILES}: with ${openFiles}, its thread would leave no descriptor for a request`,
    );
    return { missing, settled: missing };
  }
  const order: WatchdogOrder = {
    watched,
    answers: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
    tickMs: WATCHDOG_TICK_MS,
    parentMs: PARENT_MS,
    silenceMs: MAX_LOOP_SILENCE_MS,
    forcedSilenceMs: MAX_LOOP_SILENCE_FORCED_MS,
    interruptMs: MAX_INTERRUPT_MS,
  };
  const answers = new Int32Array(order.answers);
  leaveRemovedFolder();
  const thread = new Worker(WATCHDOG_THREAD_ENTRY, {
    workerData: order,
    // Only a flag of the thread makes the signal watcher of Node.js reachable. The warning about it, and
    // options such as --import of the process, are not for the thread.
    execArgv: ['--expose-internals', '--no-warnings'],
    env: {},
    resourceLimits: HEAP_MIB,
  });
  thread.unref();
  thread.on('message', (question: number) => Atomics.store(answers, 0, question));
  const missing = new Promise<string>((resolve) => {
    thread.once('error', (error) => resolve(messageOf(error)));
    thread.once('exit', (code) => resolve(`the thread has ended with code ${code}`));
  });
  const watches = new Promise((resolve) => thread.once('message', resolve));
  return { missing, settled: Promise.race([watches, missing]) };
}
