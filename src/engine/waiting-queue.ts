/**
 * The sequences that wait for a slot, in order of arrival; preempted ones are in front. Tells each of them
 * its position and its expected wait, and estimates the wait of a sequence behind all of them.
 */
import type { QueueEstimate } from '../protocol/messages.ts';
import type { Sequence } from './sequence.ts';
import type { WaitEstimate } from './wait-estimate.ts';

/**
 * Age of the estimate behind the queue at which it is made again. It takes about 1 µs for each waiting
 * sequence.
 */
const TAIL_MS = 250;

export class WaitingQueue {
  readonly #waits: WaitEstimate;
  readonly #now: () => number;
  #sequences: Sequence[] = [];
  /**
   * `ms`: milliseconds from a free slot to a slot for a sequence behind a queue of `length`. `eachMs`: the
   * delay by one more waiting sequence. `at`: time of the estimate.
   */
  #tail = { ms: 0, eachMs: 0, length: 0, at: Number.NEGATIVE_INFINITY };

  constructor(waits: WaitEstimate, now: () => number) {
    this.#waits = waits;
    this.#now = now;
  }

  get sequences(): readonly Sequence[] {
    return this.#sequences;
  }

  get first(): Sequence | undefined {
    return this.#sequences[0];
  }

  /** Adds a sequence at the end. */
  add(sequence: Sequence): void {
    this.#sequences.push(sequence);
  }

  /** Adds a sequence in front of all others. */
  addFirst(sequence: Sequence): void {
    this.#sequences.unshift(sequence);
  }

  /** Removes the first sequence. */
  removeFirst(): void {
    this.#sequences.shift();
  }

  /** Removes the finished sequences. */
  settle(): void {
    this.#sequences = this.#sequences.filter(({ state }) => state !== 'finished');
  }

  /**
   * Expected milliseconds until a slot is free, and the estimate for a sequence behind the queue.
   * @param active running sequences that are not paused, at least one
   */
  estimate(active: readonly Sequence[]): { readonly slotFreeMs: number; readonly queue: QueueEstimate } {
    const slotFreeMs = this.#waits.slotFreeMs(active);
    const { ms, eachMs, length } = this.#tail;
    return { slotFreeMs, queue: { length, waitMs: slotFreeMs + ms, eachMs } };
  }

  /**
   * Adds a note to each sequence whose position has changed. Estimates the wait behind the queue if its
   * length has changed, or if the estimate is old.
   * @param free number of free slots: the first sequences get them and have no position
   */
  notePositions(running: readonly Sequence[], free: number): void {
    const hasMoved = (sequence: Sequence, index: number): boolean =>
      index >= free && index + 1 - free !== sequence.position;
    const { length } = this.#sequences;
    const { length: before, at } = this.#tail;
    const isOld = free === 0 && (length !== before || this.#now() - at >= TAIL_MS);
    if (!isOld && !this.#sequences.some(hasMoved)) return;
    const waits = this.#waits.waits(running, this.#sequences, free);
    const eachMs = free === 0 ? this.#waits.turnMs(running) : 0;
    this.#tail = { ms: (waits.at(-1) ?? 0) - (waits[0] ?? 0), eachMs, length, at: this.#now() };
    for (const [index, sequence] of this.#sequences.entries()) {
      if (!hasMoved(sequence, index)) continue;
      sequence.position = index + 1 - free;
      sequence.note({ note: 'queued', position: sequence.position, etaMs: waits[index] ?? 0 });
    }
  }
}
