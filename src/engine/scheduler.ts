/**
 * Decides which sequences run in the next step (continuous batching with chunked prefill). Waiting sequences
 * get slots in order of arrival. A step has at most one prefill chunk, and one token for every decoding
 * sequence. A prompt that fits a chunk is computed in one step. Longer prompts are spread over steps: they
 * delay the other sequences by a bounded amount, and short prompts do not starve them. Owns the waiting and
 * the running sequences; runs nothing.
 */

import type { QueueEstimate } from '../protocol/messages.ts';
import type { RunCost } from './cost-model.ts';
import { type Draft, draftFor } from './drafts/draft.ts';
import type { KvCache, Prefix, TakenSlot } from './kv-cache.ts';
import type { PrefillBudget } from './prefill-budget.ts';
import type { Sequence } from './sequence.ts';
import type { WaitEstimate } from './wait-estimate.ts';

/**
 * Age of the estimate behind the queue at which it is made again. It takes about 1 µs for each waiting
 * sequence.
 */
const TAIL_MS = 250;
/** A step copies no further row after this many milliseconds: other sequences wait for the copies. */
const COPY_MS = 100;

/** A part of the input of a sequence: `count` ids from index `start`. */
export interface Chunk {
  readonly sequence: Sequence;
  readonly start: number;
  readonly count: number;
}

/** The work of one step. */
export interface Plan {
  /** One chunk of a long prompt, or several short prompts that fit one chunk together. */
  readonly prefill: readonly Chunk[];
  /** Sequences that decode one token each, together. */
  readonly decode: readonly Sequence[];
  /** The only running sequence and its draft; `prefill` and `decode` are then empty. */
  readonly verify?: Draft & { readonly sequence: Sequence };
}

/** A sequence whose prompt is not computed yet, and the slot that it has taken. */
type Reserved = readonly [sequence: Sequence, taken: TakenSlot];

interface SchedulerParts {
  readonly cache: KvCache;
  readonly budget: PrefillBudget;
  readonly waits: WaitEstimate;
  readonly now: () => number;
  /** Cost of a run of several tokens of one row, which decides the length of a draft; absent = no drafts. */
  readonly draftCost?: RunCost;
  /**
   * Copies keys and values from one row to another; false if that failed. Absent = the memory of the device
   * cannot be copied.
   */
  readonly copyRow?: (from: Prefix, to: number) => boolean;
}

export class Scheduler {
  readonly #cache: KvCache;
  readonly #budget: PrefillBudget;
  readonly #waits: WaitEstimate;
  readonly #now: () => number;
  readonly #draftCost: RunCost | undefined;
  readonly #copyRow: SchedulerParts['copyRow'];
  /** In order of arrival. */
  #waiting: Sequence[] = [];
  /** Sequences with a slot, in the order in which they started. */
  #running: Sequence[] = [];
  /**
   * Running sequences that have not started, in order of arrival: they may wait for the prompt of another.
   */
  #reserved: Reserved[] = [];
  /**
   * Milliseconds from a free slot to a slot for a sequence behind a queue of `length`, and by which one more
   * waiting sequence delays the next one; estimated `at`.
   */
  #tail = { ms: 0, eachMs: 0, length: 0, at: Number.NEGATIVE_INFINITY };

  constructor({ cache, budget, waits, now, draftCost, copyRow }: SchedulerParts) {
    this.#cache = cache;
    this.#budget = budget;
    this.#waits = waits;
    this.#now = now;
    this.#draftCost = draftCost;
    this.#copyRow = copyRow;
  }

  /**
   * True if a step has work: a running sequence that is not paused, or a waiting sequence and a free slot.
   */
  get busy(): boolean {
    return this.#active.length > 0 || (this.#waiting.length > 0 && this.#cache.free > 0);
  }

  /** Waiting and running sequences. */
  get sequences(): readonly Sequence[] {
    return [...this.#running, ...this.#waiting];
  }

  /**
   * Expected milliseconds until a slot is free, and the estimate for a sequence behind the queue; empty while
   * a slot is free, and while all running sequences are paused.
   */
  get estimate(): { readonly slotFreeMs?: number; readonly queue?: QueueEstimate } {
    const active = this.#active;
    if (this.#cache.free > 0 || active.length === 0) return {};
    const slotFreeMs = this.#waits.slotFreeMs(active);
    const { ms, eachMs, length } = this.#tail;
    return { slotFreeMs, queue: { length, waitMs: slotFreeMs + ms, eachMs } };
  }

  /** Queues a sequence, and adds a note with its queue position if it has to wait. */
  add(sequence: Sequence): void {
    this.#waiting.push(sequence);
    this.#notePositions();
  }

  find(id: number): Sequence | undefined {
    return this.sequences.find((sequence) => sequence.request.id === id);
  }

  /**
   * Gives the free slots to the first waiting sequences, and adds a note with the new queue position to the
   * others. Starts the sequences with a slot that wait for no other prompt.
   */
  admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const taken = this.#cache.take(next.input, next.scoresPrompt);
      if (!taken) break;
      this.#waiting.shift();
      next.slot = taken.slot;
      this.#running.push(next);
      this.#reserved.push([next, taken]);
    }
    if (this.#reserved.length > 0) this.#startReserved();
    this.#notePositions();
  }

  /** Plans the next step of the running sequences. */
  plan(): Plan {
    const active = this.#active;
    const decode = active.filter((sequence) => sequence.state === 'decode');
    const prefill = this.#nextChunks(decode.length);
    const [only] = decode;
    const draft = only && active.length === 1 ? this.#draft(only) : undefined;
    return only && draft ? { prefill, decode: [], verify: { sequence: only, ...draft } } : { prefill, decode };
  }

  /** Removes the finished sequences, frees their slots and returns the sequences. */
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
    this.#reserved = this.#reserved.filter(([sequence]) => unfinished(sequence));
    this.#waiting = this.#waiting.filter(unfinished);
    return ended;
  }

  /** Starts the reserved sequences, except those that wait, and those for which this step has no time. */
  #startReserved(): void {
    const until = this.#now() + COPY_MS;
    const held: Reserved[] = [];
    for (const [sequence, taken] of this.#reserved) {
      if (this.#waitsForPrompt(sequence) || this.#now() >= until) {
        held.push([sequence, taken]);
        continue;
      }
      const others = this.#running.filter(({ state }) => state !== 'waiting').length;
      sequence.start(this.#copyPrefix(sequence, taken) ?? taken, others, this.#now());
    }
    this.#reserved = held;
  }

  /**
   * True while the prompt of the sequence that this one copies is being computed. Only a sequence that
   * arrived earlier counts, so that two sequences never wait for each other; and only one that is not paused.
   * The scores of a prompt come before its outputs, so this sequence always waits for a scored prompt.
   */
  #waitsForPrompt(sequence: Sequence): boolean {
    const { copyOf } = sequence.request;
    if (copyOf === undefined || sequence.scoresPrompt) return false;
    const original = this.#running.slice(0, this.#running.indexOf(sequence)).find((one) => one.request.id === copyOf);
    if (!original || !['waiting', 'prefill'].includes(original.state)) return false;
    return original.scoresPrompt || (this.#copyRow !== undefined && !original.paused);
  }

  /**
   * Copies a longer prefix of the prompt from another slot.
   * @returns the slot of the sequence with that prefix; undefined if nothing was copied
   */
  #copyPrefix({ request, input, scoresPrompt }: Sequence, { slot }: TakenSlot): TakenSlot | undefined {
    if (!this.#copyRow || scoresPrompt) return undefined;
    const source = this.#cache.sourceFor(slot, input, request.copyOf !== undefined);
    if (!source || !this.#copyRow(source, slot)) return undefined;
    this.#cache.copy(source, slot);
    return { slot, cachedTokens: source.length };
  }

  /** Running sequences that are not paused. */
  get #active(): readonly Sequence[] {
    return this.#running.filter((sequence) => !sequence.paused);
  }

  /** The draft for the only running sequence. The last token before `maxTokens` needs no draft. */
  #draft(sequence: Sequence): Draft | undefined {
    if (!this.#draftCost) return undefined;
    const max = sequence.request.maxTokens - sequence.generated - 1;
    return draftFor(sequence, max, this.#draftCost);
  }

  /** The prefill chunks of the next step: short prompts first, unless a chunk of a long prompt is due. */
  #nextChunks(rows: number): Chunk[] {
    const prefilling = this.#active.filter((sequence) => sequence.state === 'prefill');
    if (prefilling.length === 0) {
      this.#budget.stepped(false);
      return [];
    }
    const max = this.#budget.chunk;
    const isShort = (sequence: Sequence): boolean => this.#sizeOf(sequence, sequence.cachedTokens) <= max;
    const short = prefilling.filter(isShort);
    const long = prefilling.find((sequence) => !isShort(sequence));
    const longFirst = long !== undefined && (short.length === 0 || (rows > 0 && this.#budget.due));
    const allowed = longFirst ? this.#budget.allowance(this.#pacedFor(long, rows)) : max;
    this.#budget.stepped(longFirst && allowed > 0);
    const chunks: Chunk[] = [];
    let budget = allowed;
    for (const sequence of longFirst ? [long] : short) {
      const size = this.#sizeOf(sequence, sequence.computed);
      if (budget <= 0 || (chunks.length > 0 && size > budget)) break;
      chunks.push(chunkOf(sequence, sequence.scoresPrompt ? this.#budget.scored(budget) : budget));
      budget -= size;
    }
    return chunks;
  }

  /**
   * The decoding sequences for which the chunks of a long input are paced. After the loss of an engine all
   * sequences are continued: those that decode again do not slow down those that are still silent.
   */
  #pacedFor(long: Sequence, rows: number): number {
    if (!isContinued(long)) return rows;
    return this.#active.filter((sequence) => sequence.state === 'decode' && !isContinued(sequence)).length;
  }

  /** The tokens of the budget that an input needs after its first `done` ids. Scores make a token dearer. */
  #sizeOf(sequence: Sequence, done: number): number {
    const left = sequence.input.length - done;
    if (!sequence.scoresPrompt) return left;
    const { chunk } = this.#budget;
    return Math.ceil((left * chunk) / this.#budget.scored(chunk));
  }

  /**
   * Adds a note to each waiting sequence whose queue position has changed. Estimates the wait behind the
   * queue if its length has changed, or if the estimate is old. The first sequences get the free slots and
   * have no position.
   */
  #notePositions(): void {
    const { free } = this.#cache;
    const hasMoved = (sequence: Sequence, index: number): boolean =>
      index >= free && index + 1 - free !== sequence.position;
    const { length } = this.#waiting;
    const { length: before, at } = this.#tail;
    const isOld = free === 0 && (length !== before || this.#now() - at >= TAIL_MS);
    if (!isOld && !this.#waiting.some(hasMoved)) return;
    const waits = this.#waits.waits(this.#running, this.#waiting, free);
    const eachMs = free === 0 ? this.#waits.turnMs(this.#running) : 0;
    this.#tail = { ms: (waits.at(-1) ?? 0) - (waits[0] ?? 0), eachMs, length, at: this.#now() };
    for (const [index, sequence] of this.#waiting.entries()) {
      if (!hasMoved(sequence, index)) continue;
      sequence.position = index + 1 - free;
      sequence.note({ note: 'queued', position: sequence.position, etaMs: waits[index] ?? 0 });
    }
  }
}

const isContinued = ({ request: { continued = [] } }: Sequence): boolean => continued.length > 0;

/**
 * The next chunk of the input, at most `max` ids. A chunk never has one id, and never leaves one id for the
 * next chunk. A run over one position rounds differently from a run over several positions; all of these
 * round alike. So the logits do not depend on the division into chunks.
 */
function chunkOf(sequence: Sequence, max: number): Chunk {
  const start = sequence.computed;
  const left = sequence.input.length - start;
  const count = Math.min(left, Math.max(max, 2));
  return { sequence, start, count: left - count === 1 && count > 2 ? count - 1 : count };
}
