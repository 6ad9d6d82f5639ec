/** A stream that records its lines. A test can make it stall. */
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

  /** Stalls: the callbacks of later writes wait. */
  hold(): void {
    this.#held = [];
  }

  /** Completes the oldest waiting write. */
  takeOne(): void {
    this.#held?.shift()?.();
  }

  /** Completes all waiting writes and stops stalling. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const finished of held) finished();
  }

  end(): this {
    return this;
  }
}
