/** One backpressure for several sequences of a job, each of which sets a listener of its own. */
import type { Backpressure } from '../../bridge/sequence-inbox.ts';

export class SharedBackpressure {
  readonly #source: Backpressure;
  readonly #listeners = new Set<(paused: boolean) => void>();

  constructor(source: Backpressure) {
    this.#source = source;
    source.onChange((paused) => {
      for (const changed of this.#listeners) changed(paused);
    });
  }

  /** The backpressure of one sequence. Call `leave` when the sequence has ended. */
  join(): Backpressure & { leave(): void } {
    const source = this.#source;
    const listeners = this.#listeners;
    let listener: ((paused: boolean) => void) | undefined;
    const leave = (): void => {
      if (listener) listeners.delete(listener);
    };
    return {
      get paused() {
        return source.paused;
      },
      onChange(changed) {
        leave();
        listener = changed;
        listeners.add(changed);
      },
      leave,
    };
  }
}
