/**
 * Estimates when slots will be free, for requests that wait and for requests that are refused. Computes the
 * estimate from measured costs and from the lengths of recent outputs. Runs nothing.
 */
import type { PrefillBudget } from './prefill-budget.ts';
import type { Sequence } from './sequence.ts';

/** Weight of a new measurement in the moving average. */
const AVERAGE_WEIGHT = 0.1;
/** Expected tokens of an output before any has ended: its limit may be the whole of a long context. */
const FIRST_OUTPUT = 2048;
/** A sequence that is longer than the mean output is expected to grow by this fraction of its length. */
const EXPECTED_GROWTH = 0.25;

export class WaitEstimate {
  readonly #budget: PrefillBudget;
  /** Mean number of output tokens; undefined until a sequence with output has ended. */
  #meanOutput: number | undefined;
  /** Mean milliseconds of a step with decoding, including its prefill. */
  #stepMs = 0;

  constructor(budget: PrefillBudget) {
    this.#budget = budget;
  }

  /** Records the number of output tokens of a sequence that has ended. */
  noteOutput(tokens: number): void {
    this.#meanOutput =
      this.#meanOutput === undefined ? tokens : this.#meanOutput + (tokens - this.#meanOutput) * AVERAGE_WEIGHT;
  }

  /** Discards the recorded output lengths: they come from the warm-up, not from requests. */
  forgetOutputs(): void {
    this.#meanOutput = undefined;
  }

  /** Records the duration of a whole step in which sequences decoded. */
  noteStep(ms: number): void {
    this.#stepMs = this.#stepMs === 0 ? ms : this.#stepMs + (ms - this.#stepMs) * AVERAGE_WEIGHT;
  }

  /**
   * Expected milliseconds until each waiting sequence has a slot, in the order of the queue, and at the end
   * those of a sequence behind the queue.
   * @param busy sequences that have a slot.
   * @param free number of free slots.
   */
  waits(busy: readonly Sequence[], waiting: readonly Sequence[], free: number): number[] {
    const prefillMs = this.#budget.forecast(Math.max(0, busy.length - 1));
    const slots = [
      ...new Array<number>(free).fill(0),
      ...busy.map((sequence) => this.#remainingMs(sequence, prefillMs)),
    ];
    const waits = waiting.map((sequence) => {
      const soonest = Math.min(...slots);
      slots[slots.indexOf(soonest)] = soonest + this.#remainingMs(sequence, prefillMs);
      return soonest;
    });
    return [...waits, Math.min(...slots)];
  }

  /** Expected milliseconds from one free slot to the next if all sequences are like the mean of `busy`. */
  turnMs(busy: readonly Sequence[]): number {
    const prefillMs = this.#budget.forecast(Math.max(0, busy.length - 1));
    const all = busy.map((sequence) => {
      const unread = sequence.input.length - sequence.cachedTokens;
      return prefillMs(unread) + this.#expectedTokens(sequence) * this.#stepMs;
    });
    return all.reduce((sum, ms) => sum + ms, 0) / busy.length ** 2;
  }

  /** Expected milliseconds until the first slot is free, if the queue is ignored. */
  slotFreeMs(busy: readonly Sequence[]): number {
    const prefillMs = this.#budget.forecast(Math.max(0, busy.length - 1));
    return Math.min(...busy.map((sequence) => this.#remainingMs(sequence, prefillMs)));
  }

  #remainingMs(sequence: Sequence, prefillMs: (tokens: number) => number): number {
    const { generated, state, input } = sequence;
    const unread = state === 'decode' ? 0 : input.length - Math.max(sequence.computed, sequence.cachedTokens);
    const tokens = Math.max(1, this.#expectedTokens(sequence) - generated);
    return prefillMs(unread) + tokens * this.#stepMs;
  }

  #expectedTokens({ request: { maxTokens, minTokens }, generated }: Sequence): number {
    const expected = Math.max(
      this.#meanOutput ?? Math.min(maxTokens, FIRST_OUTPUT),
      minTokens,
      generated * (1 + EXPECTED_GROWTH),
    );
    return Math.min(maxTokens, expected);
  }
}
