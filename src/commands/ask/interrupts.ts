/**
 * Requests of a person or of the system to stop: signals, and the end of the reader of the output. The first
 * one stops the current action; the next one ends the command at once.
 */
import { constants } from 'node:os';
import { isClosed, type Terminal } from '../terminal.ts';

/** npm and a terminal both send SIGINT: a second one within this time is the same request. */
const SAME_REQUEST_MS = 300;

/** The reason of an aborted action. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** The exit code of the command. */
  readonly code: number;

  constructor(code: number) {
    super('The command was stopped.');
    this.code = code;
  }
}

export class Interrupts {
  /** Resolves with the exit code if the command must end at once. */
  readonly forced: Promise<number>;
  readonly #out: Terminal;
  /** The reason why the answer cannot be written. */
  #failure: string | undefined;
  #force: (code: number) => void = () => undefined;
  #action = new AbortController();
  #interruptedAt = Number.NEGATIVE_INFINITY;
  #onEnding: () => void = () => undefined;
  /** The exit code, after a request that ends the command and not only its current action. */
  #ending: number | undefined;

  /** @param survivesHangup true if SIGHUP does not stop the command */
  constructor(out: Terminal, survivesHangup: boolean) {
    this.#out = out;
    this.forced = new Promise((resolve) => {
      this.#force = resolve;
    });
    process.on('SIGINT', () => this.interrupt());
    for (const signal of ['SIGTERM', ...(survivesHangup ? [] : (['SIGHUP'] as const))] as const)
      process.on(signal, () => this.#end(128 + constants.signals[signal]));
    out.onClosed((error) => {
      // The reader has read enough, as with `| head -1`. A full disk is a failure.
      if (!isClosed(error)) this.#failure ??= `The answer cannot be written: ${error.message}`;
      this.#end(isClosed(error) ? 0 : 1);
    });
  }

  /** The signal of the current action. */
  get signal(): AbortSignal {
    return this.#action.signal;
  }

  /** The exit code if the command must end after the current action. */
  get ending(): number | undefined {
    return this.#ending;
  }

  /**
   * Waits until the answer is written: the write of the last part can fail after the end of the action.
   * @returns the reason if the answer cannot be written; undefined for a reader that has gone
   */
  async unwritten(): Promise<string | undefined> {
    await this.#out.flushed();
    return this.#failure;
  }

  /** Calls `ending` when the command must end. */
  onEnding(ending: () => void): void {
    this.#onEnding = ending;
  }

  /** Begins a new action, which the next request stops. */
  begin(): AbortSignal {
    if (this.#ending === undefined && this.#action.signal.aborted) this.#action = new AbortController();
    return this.#action.signal;
  }

  /** Ctrl-C. */
  interrupt(): void {
    const code = 128 + constants.signals.SIGINT;
    const isSame = performance.now() - this.#interruptedAt < SAME_REQUEST_MS;
    this.#interruptedAt = performance.now();
    if (!this.#action.signal.aborted) this.#action.abort(new Interrupted(code));
    else if (!isSame) this.#force(code);
  }

  #end(code: number): void {
    if (this.#ending !== undefined && code !== 0) this.#force(code);
    this.#ending ??= code;
    this.#onEnding();
    if (!this.#action.signal.aborted) this.#action.abort(new Interrupted(this.#ending));
  }
}
