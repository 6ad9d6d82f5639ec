/**
 * The memory of the worker and its engine together. Reads it only when somebody asks, on a thread of libuv,
 * and not too often: the kernel walks the page tables of the process for it, 17 ms for each gigabyte of small
 * pages.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type MemoryParts,
  memoryFile,
  memoryPartsIn,
  proportionalIn,
  residentBytes,
} from '../protocol/host/process-memory.ts';

/** A figure is at least this old before the next reading, in milliseconds. */
export const MIN_MEMORY_AGE_MS = 2000;
/** At most one part of this many parts of the time is spent on readings. */
export const MEMORY_READING_SHARE = 100;

/** The next reading is at most this much later, in milliseconds, also after one that took very long. */
export const MAX_MEMORY_AGE_MS = 60_000;
/**
 * Maximum time to wait for a reading, in milliseconds. The kernel lets the reader wait while the engine hangs
 * in a change of its memory, for example in a driver.
 */
export const MAX_MEMORY_READING_MS = 1000;
/**
 * Maximum time that a scrape waits for a reading, in milliseconds; it then has the last figure. A router may
 * take a worker for overloaded whose metrics are 200 ms old.
 */
export const MAX_SCRAPE_READING_MS = 50;

/** The engine process. */
export interface EngineMemory {
  /** Undefined while there is no engine process: its memory is then 0. */
  readonly pid: number | undefined;
  /** Resident memory as the engine reported it, for a system without proportional memory. */
  readonly residentBytes: number | undefined;
}

/** Reads from the system; replaced by tests. */
export interface MemoryReader {
  readonly text: (path: string) => Promise<string>;
  readonly resident: () => number;
  readonly now: () => number;
}

const SYSTEM: MemoryReader = {
  text: (path) => readFile(path, 'utf8'),
  resident: process.memoryUsage.rss,
  now: () => performance.now(),
};

/**
 * Proportional memory (PSS) of both processes, in bytes: pages that processes share are divided among them,
 * so the figures of several workers can be added. Resident memory (RSS) of both where the system has no PSS,
 * or does not show it.
 */
export class MemoryFigure {
  readonly #engine: () => EngineMemory;
  readonly #reader: MemoryReader;
  #bytes: number | undefined;
  #parts: MemoryParts | undefined;
  /** The next reading is allowed from this time on. */
  #nextAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  /** Starts the first reading. @param reader replaced by tests. */
  constructor(engine: () => EngineMemory, reader: MemoryReader = SYSTEM) {
    this.#engine = engine;
    this.#reader = reader;
    void this.refresh();
  }

  /**
   * The last figure, at once; undefined if it could not be read. Starts the next reading if the figure is
   * old.
   */
  get bytes(): number | undefined {
    void this.read();
    return this.#bytes;
  }

  /**
   * Own memory of both processes, and the pages of files of the engine, at the time of the last figure;
   * undefined where the system does not report them.
   */
  get parts(): MemoryParts | undefined {
    return this.#parts;
  }

  /** A figure that is not old, or the last one if the reading takes longer than `ms`. Never throws. */
  async read(ms = MAX_MEMORY_READING_MS): Promise<number | undefined> {
    if (this.#reader.now() >= this.#nextAt) await this.refresh(ms);
    return this.#bytes;
  }

  /**
   * The figure of now; the last one if the reading takes too long. Two calls at the same time share one
   * reading. Never throws.
   */
  async refresh(ms = MAX_MEMORY_READING_MS): Promise<number | undefined> {
    this.#reading ??= this.#update().finally(() => {
      this.#reading = undefined;
    });
    await Promise.race([this.#reading, sleep(ms, undefined, { ref: false })]);
    return this.#bytes;
  }

  async #update(): Promise<void> {
    const began = this.#reader.now();
    const { pid, residentBytes: engineResident } = this.#engine();
    const pids = [process.pid, ...(pid === undefined ? [] : [pid])];
    const texts = await Promise.all(pids.map((one) => this.#text(one)));
    this.#parts = partsOf(texts);
    this.#bytes = sumOf(texts.map(proportionalIn)) ?? this.#resident(pid === undefined ? 0 : engineResident);
    const ended = this.#reader.now();
    const pause = Math.max(MIN_MEMORY_AGE_MS, (ended - began) * MEMORY_READING_SHARE);
    this.#nextAt = ended + Math.min(pause, MAX_MEMORY_AGE_MS);
  }

  /** Empty on an older kernel, on another system, and without a free file descriptor. */
  async #text(pid: number): Promise<string> {
    try {
      return await this.#reader.text(memoryFile(pid));
    } catch {
      return '';
    }
  }

  #resident(engine: number | undefined): number | undefined {
    return sumOf([residentBytes(this.#reader.resident), engine]);
  }
}

/** @param texts of the worker, and of the engine if there is one */
function partsOf(texts: readonly string[]): MemoryParts | undefined {
  const parts = texts.map(memoryPartsIn);
  const own = sumOf(parts.map((part) => part?.own));
  return own === undefined ? undefined : { own, shared: parts[1]?.shared ?? 0 };
}

/** Undefined if one of the numbers is. */
function sumOf(parts: readonly (number | undefined)[]): number | undefined {
  let sum = 0;
  for (const part of parts) {
    if (part === undefined) return undefined;
    sum += part;
  }
  return sum;
}
