/**
 * Everything that can ask the worker to stop, gathered into one question: has somebody asked, and has somebody lost patience?
 */

import type { EventEmitter } from 'node:events';
import { fstatSync } from 'node:fs';

const STDIN = 0;

/** Why and how the worker stops. */
export interface StopRequest {
  /** `sigterm`, `sigint`, `stdin_closed`, `parent_gone`, `shutdown_request`, or what failed. */
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

  /** Asks for a stop; the first reason counts. */
  request(reason: string, exitCode: 0 | 1 = 0): void {
    if (this.#asked) return;
    this.#asked = { reason, exitCode };
    this.#ask(this.#asked);
  }

  /** SIGTERM and SIGINT ask for a stop; the second of them forces it. */
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
   * A fault that nothing caught ends the worker, but not its streams: `tell` is called with it, then the worker drains and exits 1.
   * A second fault forces the stop.
   */
  watchFaults(tell: (fault: unknown) => void): void {
    for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
      this.#signals.on(name, (fault: unknown) => {
        if (this.#faulty) this.#force();
        this.#faulty = true;
        tell(fault);
        this.request('fault', 1);
      });
    }
  }

  /** Asks for a stop when the parent process is gone. Only for a parent that lives as long as this process has work: npm's shell. */
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
   * A parent that gave this process a pipe as standard input and closes it has gone, or wants the worker gone: no orphans.
   * A terminal, a file or /dev/null say nothing of the kind and are left alone.
   */
  watchStdin(): void {
    if (!isPipe(STDIN)) return;
    const { stdin } = process;
    const closed = (): void => this.request('stdin_closed');
    stdin.on('end', closed).on('close', closed).on('error', closed).resume();
  }
}

/** Milliseconds between two looks at who the parent is. */
const PARENT_MS = 250;

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // no standard input at all
  }
}
