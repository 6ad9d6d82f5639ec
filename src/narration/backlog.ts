/**
 * Lines on their way to a reader that may be slower than they come, or to a disk that may be full for a while: in order, whole, bounded.
 * Never blocks and never throws; what finds no room is counted.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Unread output held in memory at most, in characters: about 40 000 lines. */
const MOST_PENDING = 16 * 1024 * 1024;
/** Handed on at once: small enough that one can see whether a slow reader reads. */
const CHUNK = 64 * 1024;
/** A full disk is tried again this often. */
const RETRY_MS = 250;
/** At the end a reader is waited for as long as it reads: a pipe that stood still for ten seconds loses nothing, one that nobody reads … */
const IDLE_FLUSH_MS = 15_000;
/** … or hardly reads does not keep the process. */
const LONGEST_FLUSH_MS = 60_000;
const LOOK_MS = 10;

/** Where lines go. `done` is called when the text has been taken, perhaps much later. */
export interface Target {
  readonly write: (text: string, done: () => void) => void;
  /** Nobody will ever take anything any more. */
  readonly gone: () => boolean;
  /** It cannot be written at the moment, for another reason than a slow reader. */
  readonly stuck: () => boolean;
}

export class Backlog {
  readonly #target: Target;
  #lines: string[] = [];
  /** Characters that were pushed and not yet taken. */
  #pending = 0;
  #underWay = 0;
  #lost = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Lines that are not written yet. */
  get length(): number {
    return this.#lines.length + this.#underWay;
  }

  /** Appends a line, or counts it as lost: when there is no room, and from then on until there is room again for some. */
  push(line: string): void {
    if (this.#target.gone()) {
      this.#lines = [];
      return;
    }
    const full = this.#pending + line.length > MOST_PENDING || (this.#lost > 0 && !this.#roomy);
    if (full) {
      this.#lost += 1;
      return;
    }
    this.#lines.push(line);
    this.#pending += line.length;
    this.#pump();
  }

  /** Lines lost since the last call; 0 as long as there is no room to tell of them. */
  takeLost(): number {
    if (!this.#roomy) return 0;
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Resolves when every line was taken, or longer waiting is not worth it, with the number of lines that were not. Times in milliseconds. */
  async flush(idleMs = IDLE_FLUSH_MS, longestMs = LONGEST_FLUSH_MS): Promise<number> {
    const began = performance.now();
    let [left, movedAt] = [this.#pending, began];
    while (this.#pending > 0 && !this.#target.gone() && !this.#target.stuck()) {
      await sleep(LOOK_MS);
      const now = performance.now();
      if (this.#pending < left) movedAt = now;
      left = this.#pending;
      if (now - movedAt > idleMs || now - began > longestMs) break;
    }
    return this.#target.gone() ? 0 : this.length + this.#lost;
  }

  get #roomy(): boolean {
    return this.#pending <= MOST_PENDING - CHUNK;
  }

  #pump(): void {
    if (this.#underWay > 0 || this.#lines.length === 0) return;
    let [count, length] = [0, 0];
    for (const line of this.#lines) {
      if (count > 0 && length + line.length > CHUNK) break;
      count += 1;
      length += line.length;
    }
    this.#underWay = count;
    this.#target.write(this.#lines.splice(0, count).join(''), () => {
      this.#underWay = 0;
      this.#pending -= length;
      this.#pump();
    });
  }
}

/** A pipe, a socket or a terminal: its reader may be slow, or leave. */
export function streamTarget(stream: NodeJS.WritableStream): Target {
  let gone = false;
  stream.on('error', () => {
    gone = true; // the reader closed the pipe: the work goes on, only the lines have no listener
  });
  const write = (text: string, done: () => void): void => {
    stream.write(text, (error) => {
      if (!error) done();
    });
  };
  return { write, gone: () => gone, stuck: () => false };
}

/** A file or a device. A disk that is full is tried again, from the very byte at which it was: no line is ever half a line. */
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
