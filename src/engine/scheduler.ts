/**
 * Who runs in the next step. Waiting sequences get slots in the order they came; a step is at most one chunk of prompts and one token of
 * every sequence that decodes. Prompts that fit a chunk are computed at once; longer ones are paced, so that they slow their neighbours
 * by a known amount, and do not wait for ever behind short ones. Owns the waiting and the running sequences; says what to run, runs nothing.
 */

import type { KvCache } from './kv-cache.ts';
import type { PrefillBudget } from './prefill-budget.ts';
import type { Sequence } from './sequence.ts';
import type { WaitEstimate } from './wait-estimate.ts';

/** A part of a prompt: `count` ids from `start` on. */
export interface Chunk {
  readonly sequence: Sequence;
  readonly start: number;
  readonly count: number;
}

/** What one step runs. */
export interface Plan {
  /** Of one long prompt, or of several short ones that together are no longer than a chunk. */
  readonly prefill: readonly Chunk[];
  /** One id each, together. */
  readonly decode: readonly Sequence[];
  /** The one sequence that runs: it may be decoded with a draft. */
  readonly alone?: Sequence;
}

export class Scheduler {
  readonly #cache: KvCache;
  readonly #budget: PrefillBudget;
  readonly #waits: WaitEstimate;
  readonly #now: () => number;
  /** First come first. */
  #waiting: Sequence[] = [];
  /** Each has a slot. In the order they started. */
  #running: Sequence[] = [];

  constructor(cache: KvCache, budget: PrefillBudget, waits: WaitEstimate, now: () => number) {
    this.#cache = cache;
    this.#budget = budget;
    this.#waits = waits;
    this.#now = now;
  }

  /** Whether there is anything to run: who waits needs a free slot, and who is paused runs no step. */
  get busy(): boolean {
    return this.#active.length > 0 || (this.#waiting.length > 0 && this.#cache.free > 0);
  }

  /** Waiting and running sequences. */
  get sequences(): readonly Sequence[] {
    return [...this.#running, ...this.#waiting];
  }

  /** Expected milliseconds until a slot is free; undefined while one is, and when all are held by paused sequences. */
  get slotFreeMs(): number | undefined {
    const active = this.#active;
    return this.#cache.free > 0 || active.length === 0 ? undefined : this.#waits.slotFreeMs(active);
  }

  /** Queues a sequence. It is told its place when it has to wait. */
  add(sequence: Sequence): void {
    this.#waiting.push(sequence);
    this.#notePositions();
  }

  find(id: number): Sequence | undefined {
    return this.sequences.find((sequence) => sequence.request.id === id);
  }

  /** Gives the free slots to those who wait, and tells the others how far they have moved. */
  admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const taken = this.#cache.take(next.request.prompt);
      if (!taken) break;
      this.#waiting.shift();
      next.start(taken, this.#running.length, this.#now());
      this.#running.push(next);
    }
    this.#notePositions();
  }

  /** The next step. Admits whoever fits first. */
  plan(): Plan {
    this.admit();
    const active = this.#active;
    const decode = active.filter((sequence) => sequence.state === 'decode');
    const prefill = this.#nextChunks(decode.length);
    const [alone] = active;
    return { prefill, decode, ...(alone && active.length === 1 && { alone }) };
  }

  /** Lets go of the sequences that have ended and frees their slots. */
  settle(): Sequence[] {
    const ended = this.sequences.filter((sequence) => sequence.state === 'finished');
    if (ended.length === 0) return ended;
    for (const { slot, generated } of ended) {
      if (slot < 0) continue;
      this.#cache.release(slot);
      if (generated > 0) this.#waits.noteOutput(generated);
    }
    const unfinished = (sequence: Sequence): boolean => sequence.state !== 'finished';
    this.#running = this.#running.filter(unfinished);
    this.#waiting = this.#waiting.filter(unfinished);
    return ended;
  }

  /** Those that are not paused. */
  get #active(): readonly Sequence[] {
    return this.#running.filter((sequence) => !sequence.paused);
  }

  /** Short prompts first, but for a long one whose turn has come. */
  #nextChunks(rows: number): Chunk[] {
    const reading = this.#active.filter((sequence) => sequence.state === 'prefill');
    if (reading.length === 0) {
      this.#budget.stepped(false);
      return [];
    }
    const most = this.#budget.chunk;
    const isShort = ({ request, cachedTokens }: Sequence): boolean => request.prompt.length - cachedTokens <= most;
    const short = reading.filter(isShort);
    const long = reading.find((sequence) => !isShort(sequence));
    const longFirst = long !== undefined && (short.length === 0 || (rows > 0 && this.#budget.due));
    const allowed = longFirst ? this.#budget.allowance(rows) : most;
    this.#budget.stepped(longFirst && allowed > 0);
    const chunks: Chunk[] = [];
    let room = allowed;
    for (const sequence of longFirst ? [long] : short) {
      const left = sequence.request.prompt.length - sequence.computed;
      if (room <= 0 || (chunks.length > 0 && left > room)) break;
      chunks.push(chunkOf(sequence, room));
      room -= left;
    }
    return chunks;
  }

  /** Free slots go to the first in the queue: whoever comes after them is told a new place when it has one. */
  #notePositions(): void {
    const { free } = this.#cache;
    const moved = (sequence: Sequence, index: number): boolean =>
      index >= free && index + 1 - free !== sequence.position;
    if (!this.#waiting.some(moved)) return;
    const waits = this.#waits.waits(this.#running, this.#waiting, free);
    for (const [index, sequence] of this.#waiting.entries()) {
      if (!moved(sequence, index)) continue;
      sequence.position = index + 1 - free;
      sequence.note({ note: 'queued', position: sequence.position, etaMs: waits[index] ?? 0 });
    }
  }
}

/**
 * The next ids of the prompt, at most `most`. One id is never left over or taken alone: a run over one position rounds in another way
 * than a run over several, all of which round alike, and the logits should not depend on how a prompt was cut.
 */
function chunkOf(sequence: Sequence, most: number): Chunk {
  const start = sequence.computed;
  const left = sequence.request.prompt.length - start;
  const count = Math.min(left, Math.max(most, 2));
  return { sequence, start, count: left - count === 1 && count > 2 ? count - 1 : count };
}
