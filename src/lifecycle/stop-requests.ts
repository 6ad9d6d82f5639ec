/**
 * All sources of a request to stop the worker: signals, faults, standard input, the parent process. The
 * second signal or fault forces the stop.
 */
import type { EventEmitter } from 'node:events';
import { fstatSync } from 'node:fs';

const STDIN = 0;

/** The reason and exit code of a stop. */
export interface StopRequest {
  /** `sigterm`, `sigint`, `stdin_closed`, `parent_gone`, `shutdown_request`, or the kind of failure. */
  readonly reason: string;
  readonly exitCode: 0 | 1;
}

export class StopRequests {
  readonly #signals: EventEmitter;
  #ask: (request: StopRequest) => void = () => undefined;
  #force: () => void = () => undefined;
  #asked: StopRequest | undefined;
  #signalled = false;
  #faulty = false;
  /** Resolves with the first request to stop. */
  readonly requested = new Promise<StopRequest>((resolve) => {
    this.#ask = resolve;
  });
  /** Resolves at the second signal: stop at once. */
  readonly forced = new Promise<void>((resolve) => {
    this.#force = resolve;
  });

  constructor(signals: EventEmitter = process) {
    this.#signals = signals;
  }

  get asked(): StopRequest | undefined {
    return this.#asked;
  }

  /** Requests a stop; the first reason counts. */
  request(reason: string, exitCode: 0 | 1 = 0): void {
    if (this.#asked) return;
    this.#asked = { reason, exitCode };
    this.#ask(this.#asked);
  }

  /** SIGTERM and SIGINT request a stop; the second signal forces it. */
  watchSignals(): void {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      this.#signals.on(name, () => {
        if (this.#signalled) this.#force();
        this.#signalled = true;
        this.request(name.toLowerCase());
      });
    }
  }

  /**
   * After an uncaught fault, calls `report` with it; the worker then drains, so that its streams end
   * properly, and exits 1. A second fault forces the stop.
   */
  watchFaults(report: (fault: unknown) => void): void {
    for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
      this.#signals.on(name, (fault: unknown) => {
        if (this.#faulty) this.#force();
        this.#faulty = true;
        report(fault);
        this.request('fault', 1);
      });
    }
  }

  /**
   * Requests a stop when the parent process is gone. Only for a parent that lives as long as this process has
   * work: npm's shell.
   */
  watchParent(parent: () => number = () => process.ppid, everyMs: number = PARENT_MS): void {
    const first = parent();
    const look = setInterval(() => {
      if (parent() === first) return;
      clearInterval(look);
      this.request('parent_gone');
    }, everyMs);
    look.unref();
  }

  /**
   * Requests a stop when standard input is a pipe and its other end closes: the parent process ended, or
   * wants the worker to end. A terminal, a file or /dev/null is ignored.
   */
  watchStdin(): void {
    if (!isPipe(STDIN)) return;
    const { stdin } = process;
    const closed = (): void => this.request('stdin_closed');
    stdin.on('end', closed).on('close', closed).on('error', closed).resume();
  }
}

/** Milliseconds between two checks of the parent process. */
const PARENT_MS = 250;

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // without standard input
  }
}
