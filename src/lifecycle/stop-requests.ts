/**
 * All sources of a request to stop the worker: signals, faults, standard input, the parent process. A second
 * signal or a second fault forces the stop.
 */
import type { EventEmitter } from 'node:events';
import { fstatSync } from 'node:fs';

const STDIN = 0;

/** The reason and exit code of a stop. */
export interface StopRequest {
  /**
   * `sigterm`, `sigint`, `sighup`, `stdin_closed`, `parent_gone`, `shutdown_request`, or the kind of failure.
   */
  readonly reason: string;
  readonly exitCode: 0 | 1;
  /** Time of the request, on the clock of performance.now(). */
  readonly at: number;
}

export class StopRequests {
  readonly #signals: EventEmitter;
  #resolveRequested: (request: StopRequest) => void = () => undefined;
  #resolveForced: () => void = () => undefined;
  #first: StopRequest | undefined;
  #signalled = false;
  #faulty = false;
  /** Resolves with the first request to stop. */
  readonly requested = new Promise<StopRequest>((resolve) => {
    this.#resolveRequested = resolve;
  });
  /** Resolves at the second signal or the second fault: the worker must stop at once. */
  readonly forced = new Promise<void>((resolve) => {
    this.#resolveForced = resolve;
  });

  constructor(signals: EventEmitter = process) {
    this.#signals = signals;
  }

  /** The first request to stop; undefined if there is none. */
  get first(): StopRequest | undefined {
    return this.#first;
  }

  /** Requests a stop; the first reason counts. */
  request(reason: string, exitCode: 0 | 1 = 0): void {
    if (this.#first) return;
    this.#first = { reason, exitCode, at: performance.now() };
    this.#resolveRequested(this.#first);
  }

  /** SIGTERM and SIGINT request a stop; the second signal forces the stop. */
  watchSignals(): void {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      this.#signals.on(name, () => {
        if (this.#signalled) this.#resolveForced();
        this.#signalled = true;
        this.request(name.toLowerCase());
      });
    }
  }

  /**
   * SIGHUP requests a stop: the terminal has closed. It never forces one, because it comes together with
   * other signals: a shell sends it again to its jobs, and systemd sends it after SIGTERM (SendSIGHUP).
   */
  watchHangup(): void {
    this.#signals.on('SIGHUP', () => this.request('sighup'));
  }

  /**
   * Reports each uncaught fault and requests a stop with exit code 1: the worker drains, so its streams end
   * properly. A second fault forces the stop.
   */
  watchFaults(report: (fault: unknown) => void): void {
    for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
      this.#signals.on(name, (fault: unknown) => {
        if (this.#faulty) this.#resolveForced();
        this.#faulty = true;
        report(fault);
        this.request('fault', 1);
      });
    }
  }

  /**
   * Requests a stop when the parent process has ended. Only for a parent that normally lives longer than this
   * process: npm's shell.
   * @param parent returns the id of the current parent process
   */
  watchParent(parent: () => number = () => process.ppid, everyMs: number = PARENT_MS): void {
    const initial = parent();
    const timer = setInterval(() => {
      if (parent() === initial) return;
      clearInterval(timer);
      this.request('parent_gone');
    }, everyMs);
    timer.unref();
  }

  /**
   * Requests a stop when standard input is a pipe and its other end closes: the parent process has ended, or
   * requests the stop. Ignores a terminal, a file and /dev/null.
   * @returns true if standard input is a pipe
   */
  watchStdin(): boolean {
    if (!isPipe(STDIN)) return false;
    const { stdin } = process;
    const closed = (): void => this.request('stdin_closed');
    stdin.on('end', closed).on('close', closed).on('error', closed).resume();
    return true;
  }
}

/** Milliseconds between two checks of the parent process. */
export const PARENT_MS = 250;

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // There is no standard input.
  }
}
