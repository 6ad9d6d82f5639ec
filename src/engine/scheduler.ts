/**
 * Who runs in the next step. Waiting sequences get slots in the order they came; a step is one bounded chunk of one prompt and one token
 * of every sequence that decodes, so that a long prompt slows its neighbours by a known amount. Owns the waiting and the running
 * sequences; says what to run, runs nothing.
 */
import type { KvCache } from './kv-cache.ts';
import type { Sequence } from './sequence.ts';

/** What one step runs. */
export interface Plan {
  /** `count` prompt ids from `start` on. */
  readonly prefill?: { readonly sequence: Sequence; readonly start: number; readonly count: number };
  /** One id each, together. */
  readonly decode: readonly Sequence[];
}

export class Scheduler {
  readonly #cache: KvCache;
  /** Most prompt ids in one step. */
  readonly #chunk: number;
  readonly #now: () => number;
  /** First come first. */
  #waiting: Sequence[] = [];
  /** Each has a slot. In the order they started. */
  #running: Sequence[] = [];

  constructor(cache: KvCache, chunk: number, now: () => number) {
    this.#cache = cache;
    this.#chunk = chunk;
    this.#now = now;
  }

  /** Whether there is anything left to run. */
  get busy(): boolean {
    return this.#waiting.length > 0 || this.#running.length > 0;
  }

  /** Waiting and running sequences. */
  get sequences(): readonly Sequence[] {
    return [...this.#running, ...this.#waiting];
  }

  /** Queues a sequence. It is told its place when it has to wait. */
  add(sequence: Sequence): void {
    this.#waiting.push(sequence);
    this.#notePositions();
  }

  find(id: number): Sequence | undefined {
    return this.sequences.find((sequence) => sequence.request.id === id);
  }

  /** The next step. Admits whoever fits first. */
  plan(): Plan {
    this.#admit();
    this.#notePositions();
    const decode = this.#running.filter((sequence) => sequence.state === 'decode');
    const sequence = this.#running.find((candidate) => candidate.state === 'prefill');
    if (!sequence) return { decode };
    const start = this.#cache.length(sequence.slot);
    const count = Math.min(this.#chunk, sequence.request.prompt.length - start);
    return { prefill: { sequence, start, count }, decode };
  }

  /** Lets go of the sequences that have ended and frees their slots. */
  settle(): Sequence[] {
    const ended = this.sequences.filter((sequence) => sequence.state === 'finished');
    if (ended.length === 0) return ended;
    for (const { slot } of ended) if (slot >= 0) this.#cache.release(slot);
    const unfinished = (sequence: Sequence): boolean => sequence.state !== 'finished';
    this.#running = this.#running.filter(unfinished);
    this.#waiting = this.#waiting.filter(unfinished);
    return ended;
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const taken = this.#cache.take(next.request.prompt);
      if (!taken) return;
      this.#waiting.shift();
      next.start(taken.slot, taken.kept, this.#running.length, this.#now());
      this.#running.push(next);
    }
  }

  /** Free slots go to the first in the queue: whoever comes after them is told a new place when it has one. */
  #notePositions(): void {
    const free = this.#cache.free;
    for (const [index, sequence] of this.#waiting.entries()) {
      const position = index + 1 - free;
      if (position < 1 || position === sequence.position) continue;
      sequence.position = position;
      sequence.note({ note: 'queued', position });
    }
  }
}
