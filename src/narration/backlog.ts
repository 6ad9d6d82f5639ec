/**
 * A bounded queue of log lines for an output that may be slow (a pipe) or full (a disk). Keeps the order and
 * writes only whole lines. Never blocks and never throws. Lines that do not fit are dropped and counted.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Maximum size of the queue, in characters: about 40 000 lines. */
export const MOST_PENDING = 16 * 1024 * 1024;
/** Maximum size of one write: small enough to see whether a slow reader makes progress. */
const CHUNK = 64 * 1024;
/** Time between two attempts to write to a full disk. */
const RETRY_MS = 250;
/** `flush` waits this long for progress: a pipe that stalls for ten seconds loses nothing. */
export const IDLE_FLUSH_MS = 15_000;
/** `flush` takes at most this long, even if a slow reader makes progress. */
export const LONGEST_FLUSH_MS = 60_000;
/** Time between two looks at the progress in `flush`. */
const POLL_MS = 10;

/** The output of a backlog. `write` calls `done` when the text is written, perhaps much later. */
export interface Target {
  readonly write: (text: string, done: () => void) => void;
  /** True if the output is closed for good. */
  readonly gone: () => boolean;
  /** True if writing fails at the moment (a full disk). A slow reader does not count. */
  readonly stuck: () => boolean;
}

export class Backlog {
  readonly #target: Target;
  #lines: string[] = [];
  /** Characters that are pushed and not yet written. */
  #pending = 0;
  /** Lines of the current write. */
  #inFlight = 0;
  #lost = 0;
  #lostInAll = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Number of lines that are not written yet. */
  get length(): number {
    return this.#lines.length + this.#inFlight;
  }

  /** Number of lines that were lost since the start. */
  get lostInAll(): number {
    return this.#lostInAll;
  }

  /**
   * Appends a line. If the queue is full, the line is lost, and so are the next ones until there is room for
   * a whole write.
   */
  push(line: string): void {
    if (this.#target.gone()) {
      this.#lines = [];
      return;
    }
    const full = this.#pending + line.length > MOST_PENDING || (this.#lost > 0 && !this.#hasRoom);
    if (full) {
      this.#lost += 1;
      this.#lostInAll += 1;
      return;
    }
    this.#lines.push(line);
    this.#pending += line.length;
    this.#pump();
  }

  /** Returns and resets the number of lost lines; 0 while there is no room for a line that reports them. */
  takeLost(): number {
    if (!this.#hasRoom) return 0;
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /**
   * Waits until all lines are written, the output fails, or the time is over (milliseconds). Resolves with
   * the number of unwritten lines.
   */
  async flush(idleMs = IDLE_FLUSH_MS, longestMs = LONGEST_FLUSH_MS): Promise<number> {
    const began = performance.now();
    let [left, movedAt] = [this.#pending, began];
    while (this.#pending > 0 && !this.#target.gone() && !this.#target.stuck()) {
      await sleep(POLL_MS);
      const now = performance.now();
      if (this.#pending < left) movedAt = now;
      left = this.#pending;
      if (now - movedAt > idleMs || now - began > longestMs) break;
    }
    return this.#target.gone() ? 0 : this.length + this.#lost;
  }

  /** True if a whole write fits into the queue. */
  get #hasRoom(): boolean {
    return this.#pending <= MOST_PENDING - CHUNK;
  }

  #pump(): void {
    if (this.#inFlight > 0 || this.#lines.length === 0) return;
    let [count, length] = [0, 0];
    for (const line of this.#lines) {
      if (count > 0 && length + line.length > CHUNK) break;
      count += 1;
      length += line.length;
    }
    this.#inFlight = count;
    this.#target.write(this.#lines.splice(0, count).join(''), () => {
      this.#inFlight = 0;
      this.#pending -= length;
      this.#pump();
    });
  }
}

/** The target for a pipe, a socket or a terminal. Its reader may be slow, and may leave. */
export function streamTarget(stream: NodeJS.WritableStream): Target {
  let gone = false;
  stream.on('error', () => {
    gone = true; // the reader closed the pipe; the worker keeps running without a log
  });
  const write = (text: string, done: () => void): void => {
    stream.write(text, (error) => {
      if (!error) done();
    });
  };
  return { write, gone: () => gone, stuck: () => false };
}

/**
 * The target for a file or a device. After an error it retries from the same byte, so that no line is ever
 * cut.
 */
export function fileTarget(fd: number, writeSome: (fd: number, bytes: Uint8Array) => number = writeSync): Target {
  let stuck = false;
  const attempt = (bytes: Uint8Array, done: () => void): void => {
    let rest = bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSome(fd, rest));
      stuck = false;
    } catch {
      stuck = true;
      setTimeout(attempt, RETRY_MS, rest, done).unref();
      return;
    }
    done();
  };
  return { write: (text, done) => attempt(Buffer.from(text), done), gone: () => false, stuck: () => stuck };
}
