/**
 * Decides which sequences run in the next step (continuous batching with chunked prefill), and which of them
 * give up their memory for the others. A step has at most one prefill chunk, and one token for every decoding
 * sequence. A prompt that fits a chunk is computed in one step. Longer prompts are spread over steps: they
 * delay the other sequences by a bounded amount, and short prompts do not starve them. Owns the waiting and
 * the running sequences; runs nothing.
 */

import type { QueueEstimate } from '../protocol/messages.ts';
import { Admission } from './admission.ts';
import type { KvCache } from './cache/kv-cache.ts';
import type { RunCost } from './cost-model.ts';
import { type Draft, draftFor } from './drafts/draft.ts';
import type { PrefillBudget } from './prefill-budget.ts';
import type { Sequence } from './sequence.ts';
import type { WaitEstimate } from './wait-estimate.ts';
import { WaitingQueue } from './waiting-queue.ts';

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

interface SchedulerParts {
  readonly cache: KvCache;
  readonly budget: PrefillBudget;
  readonly waits: WaitEstimate;
  readonly now: () => number;
  /** Cost of a run of several tokens of one row, which decides the length of a draft; absent = no drafts. */
  readonly draftCost?: RunCost;
}

export class Scheduler {
  readonly #cache: KvCache;
  readonly #budget: PrefillBudget;
  readonly #waits: WaitEstimate;
  readonly #now: () => number;
  readonly #draftCost: RunCost | undefined;
  readonly #queue: WaitingQueue;
  readonly #admission: Admission;
  /** Sequences with a slot, in the order in which they got it. */
  #running: Sequence[] = [];

  constructor({ cache, budget, waits, now, draftCost }: SchedulerParts) {
    this.#cache = cache;
    this.#budget = budget;
    this.#waits = waits;
    this.#now = now;
    this.#draftCost = draftCost;
    this.#queue = new WaitingQueue(waits, now);
    const computeMs = (tokens: number): number => (tokens === 0 ? 0 : budget.forecast(0)(tokens));
    this.#admission = new Admission({ cache, queue: this.#queue, now, computeMs });
  }

  /**
   * True if a step has work: a running sequence that is not paused, or a waiting sequence, and a slot and
   * memory for it.
   */
  get busy(): boolean {
    return this.#active.length > 0 || (this.#queue.first !== undefined && this.#admission.free > 0);
  }

  /** Waiting and running sequences. */
  get sequences(): readonly Sequence[] {
    return [...this.#running, ...this.#queue.sequences];
  }

  /**
   * Expected milliseconds until a slot is free, and the estimate for a sequence behind the queue; empty while
   * a slot is free, and while all running sequences are paused.
   */
  get estimate(): { readonly slotFreeMs?: number; readonly queue?: QueueEstimate } {
    const active = this.#active;
    return this.#admission.free > 0 || active.length === 0 ? {} : this.#queue.estimate(active);
  }

  /** Queues a sequence, and adds a note with its queue position if it has to wait. */
  add(sequence: Sequence): void {
    this.#queue.add(sequence);
    this.#notePositions();
  }

  find(id: number): Sequence | undefined {
    return this.sequences.find((sequence) => sequence.request.id === id);
  }

  /**
   * Gives the free slots to the first waiting sequences, and adds a note with the new queue position to the
   * others. Takes the memory of the next step.
   */
  admit(): void {
    this.#admission.admit(this.#running);
    for (const sequence of this.#active) this.#takeMemory(sequence);
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
    const ended = this.sequences.filter(({ state }) => state === 'finished');
    if (ended.length === 0) return ended;
    for (const { slot, generated } of ended) {
      if (slot < 0) continue;
      this.#cache.release(slot);
      if (generated > 0) this.#waits.noteOutput(generated);
    }
    this.#running = this.#running.filter(({ state }) => state !== 'finished');
    this.#queue.settle();
    this.#admission.settle();
    return ended;
  }

  /**
   * Takes the memory for the next step of a sequence. If the budget is used up, preempts others, or this one
   * if it is the youngest.
   */
  #takeMemory(sequence: Sequence): void {
    while (isStarted(sequence) && !this.#cache.budget.take(sequence.slot, this.#tokensAfterStep(sequence))) {
      const victim = this.#victim();
      if (!victim) return; // it is alone, and the budget suffices for one sequence of any length
      this.#preempt(victim);
    }
  }

  /** Number of tokens of a sequence in the cache after the next step. A whole input is taken at once. */
  #tokensAfterStep(sequence: Sequence): number {
    const { state, slot, input } = sequence;
    return state === 'prefill' ? input.length : this.#cache.length(slot) + 1;
  }

  /** The sequence to preempt: a paused one, or the one that got its slot last; undefined if one is alone. */
  #victim(): Sequence | undefined {
    const started = this.#running.filter(isStarted);
    if (started.length <= 1) return undefined;
    return started.findLast(({ paused }) => paused) ?? started.at(-1);
  }

  /** Takes the slot and the memory of a sequence. It continues later, before all sequences that wait. */
  #preempt(sequence: Sequence): void {
    const { slot } = sequence;
    const tokens = this.#cache.length(slot);
    const followers = this.#admission.withdraw(sequence);
    this.#cache.release(slot);
    this.#running = this.#running.filter((one) => one !== sequence && !followers.includes(one));
    sequence.preempt(tokens, this.#now());
    for (const follower of followers.toReversed()) this.#queue.addFirst(follower);
    this.#queue.addFirst(sequence);
  }

  /** Running sequences that are not paused. */
  get #active(): readonly Sequence[] {
    return this.#running.filter((sequence) => !sequence.paused);
  }

  /**
   * The draft for the only running sequence; undefined if there is no memory for it. The last token before
   * `maxTokens` needs no draft.
   */
  #draft(sequence: Sequence): Draft | undefined {
    if (!this.#draftCost) return undefined;
    const max = sequence.request.maxTokens - sequence.generated - 1;
    const draft = draftFor(sequence, max, this.#draftCost);
    const tokens = this.#cache.length(sequence.slot) + 1 + (draft?.ids.length ?? 0);
    return draft && this.#cache.budget.take(sequence.slot, tokens) ? draft : undefined;
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
   * sequences are continued: the ones that decode again must not delay the ones that are still silent.
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

  #notePositions(): void {
    this.#queue.notePositions(this.#running, this.#admission.free);
  }
}

/** True if a sequence holds memory: it has begun to compute its input. */
const isStarted = ({ state }: Sequence): boolean => state === 'prefill' || state === 'decode';

/** True if the input contains output: after the loss of an engine, or after a preemption. */
const isContinued = ({ input, request }: Sequence): boolean => input.length > request.prompt.length;

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
