/** A stream that keeps what is written, and that takes nothing for a while when a test says so. */
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

  /** From now on what is written is not taken: the reader has stopped to read. */
  hold(): void {
    this.#held = [];
  }

  /** The reader takes one of the writes that are held. */
  takeOne(): void {
    this.#held?.shift()?.();
  }

  /** The reader takes all there is, and whatever comes. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const finished of held) finished();
  }

  end(): this {
    return this;
  }
}
