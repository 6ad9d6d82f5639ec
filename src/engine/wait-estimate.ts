/**
 * When slots will be free: what is told to those who wait, and to those who are sent away. From observed rates and from how long outputs
 * have been lately; an estimate, not a promise.
 */
import type { PrefillBudget } from './prefill-budget.ts';
import type { Sequence } from './sequence.ts';

/** Weight of a new observation. */
const FRESH = 0.1;
/** A sequence that has outlived the usual output is expected to go on for this share of what it has. */
const LONGER = 0.25;

export class WaitEstimate {
  readonly #budget: PrefillBudget;
  /** Mean tokens of an output; undefined until one has ended by itself. */
  #output: number | undefined;
  /** Milliseconds from one decode step to the next, whatever comes between. */
  #stepMs = 0;

  constructor(budget: PrefillBudget) {
    this.#budget = budget;
  }

  /** A sequence ended after so many tokens. */
  noteOutput(tokens: number): void {
    this.#output = this.#output === undefined ? tokens : this.#output + (tokens - this.#output) * FRESH;
  }

  /** What was noted of outputs so far was not asked for by anybody. */
  forgetOutputs(): void {
    this.#output = undefined;
  }

  /** A step in which sequences decoded took so long in all. */
  noteStep(ms: number): void {
    this.#stepMs = this.#stepMs === 0 ? ms : this.#stepMs + (ms - this.#stepMs) * FRESH;
  }

  /**
   * Expected milliseconds until each waiting sequence has a slot, first come first.
   * @param busy sequences that hold a slot.
   * @param free slots that nobody holds.
   */
  waits(busy: readonly Sequence[], waiting: readonly Sequence[], free: number): number[] {
    const slots = [
      ...new Array<number>(free).fill(0),
      ...busy.map((sequence) => this.#remainingMs(sequence, busy.length)),
    ];
    return waiting.map((sequence) => {
      const soonest = Math.min(...slots);
      slots[slots.indexOf(soonest)] = soonest + this.#remainingMs(sequence, busy.length);
      return soonest;
    });
  }

  /** Expected milliseconds until a slot is free for somebody who comes now, before those who wait are served. */
  slotFreeMs(busy: readonly Sequence[]): number {
    return Math.min(...busy.map((sequence) => this.#remainingMs(sequence, busy.length)));
  }

  #remainingMs(sequence: Sequence, rows: number): number {
    const { prompt, maxTokens, minTokens } = sequence.request;
    const { generated, state } = sequence;
    const unread = state === 'decode' ? 0 : prompt.length - Math.max(sequence.computed, sequence.cachedTokens);
    const expected = Math.max(this.#output ?? maxTokens, minTokens, generated * (1 + LONGER));
    const tokens = Math.max(1, Math.min(maxTokens, expected) - generated);
    return this.#budget.expectedMs(unread, rows - 1) + tokens * this.#stepMs;
  }
}
