/** A stream that keeps the written lines, and that a test can stop and release. */
import { EventEmitter } from 'node:events';

type Done = (error?: Error | null) => void;

export class MemoryStream extends EventEmitter {
  writable = true;
  readonly lines: string[] = [];
  #held: Done[] | undefined;

  write(text: string | Uint8Array, encodingOrDone?: unknown, done?: Done): boolean {
    this.lines.push(
      ...String(text)
        .split('\n')
        .filter((line) => line !== ''),
    );
    const finished = typeof encodingOrDone === 'function' ? (encodingOrDone as Done) : done;
    if (this.#held && finished) this.#held.push(finished);
    else finished?.();
    return true;
  }

  /** The reader stops: later writes do not complete. */
  hold(): void {
    this.#held = [];
  }

  /** The reader takes one of the pending writes. */
  takeOne(): void {
    this.#held?.shift()?.();
  }

  /** The reader takes all pending and later writes. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const finished of held) finished();
  }

  end(): this {
    return this;
  }
}
