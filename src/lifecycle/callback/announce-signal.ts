/**
 * SIGUSR2 asks the worker to announce itself again. Without a handler, the signal ends the process: the
 * handler exists before the settings are read, but not while Node.js loads the first modules. Windows has no
 * such signal.
 */
import type { EventEmitter } from 'node:events';

export class AnnounceSignal {
  #receive: (() => void) | undefined;
  #isMissed = false;

  constructor(signals: EventEmitter = process) {
    signals.on('SIGUSR2', () => {
      if (this.#receive) this.#receive();
      else this.#isMissed = true;
    });
  }

  /** Calls `receive` at every signal from now on, and at once if there was one before. */
  onSignal(receive: () => void): void {
    this.#receive = receive;
    if (this.#isMissed) receive();
  }
}
