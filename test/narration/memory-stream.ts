/** A stream that keeps what is written, and whose unread length a test can set. */
import { EventEmitter } from 'node:events';

export class MemoryStream extends EventEmitter {
  writable = true;
  writableLength = 0;
  readonly lines: string[] = [];

  write(text: string | Uint8Array, encodingOrDone?: unknown, done?: (error?: Error | null) => void): boolean {
    this.lines.push(
      ...String(text)
        .split('\n')
        .filter((line) => line !== ''),
    );
    const finished = typeof encodingOrDone === 'function' ? (encodingOrDone as () => void) : done;
    finished?.();
    return true;
  }

  end(): this {
    return this;
  }
}
