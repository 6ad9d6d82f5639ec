/**
 * Counts the sequences of a client and their tokens. Every change costs the same, whatever the number of
 * sequences, because every answer of the worker reads these counts.
 */

/** Counts of the sequences that have not finished. */
export interface Occupancy {
  /** Sequences with a slot. */
  readonly busy: number;
  /** Sequences that wait for a slot. */
  readonly waiting: number;
  /** Prompt and output tokens of the sequences with a slot. */
  readonly tokens: number;
  /** Prompt tokens of the sequences that wait for a slot. */
  readonly waitingTokens: number;
  /** Sequences, with a slot or without, whose caller has left before the engine confirmed their end. */
  readonly left: number;
}

/** The part of a sequence that is counted. */
export interface Countable {
  readonly hasSlot: boolean;
  readonly finished: boolean;
  readonly tokens: number;
  readonly callerLeft: boolean;
}

export class OccupancyCount {
  /** The state in which each sequence is counted. */
  readonly #counted = new Map<Countable, Countable>();
  readonly #sum = { busy: 0, waiting: 0, tokens: 0, waitingTokens: 0, left: 0 };

  /** The current counts. */
  get sum(): Occupancy {
    return { ...this.#sum };
  }

  /** Counts a sequence, or counts it again after a change. */
  update(sequence: Countable): void {
    this.remove(sequence);
    const { hasSlot, finished, tokens, callerLeft } = sequence;
    if (finished) return;
    const counted = { hasSlot, finished, tokens, callerLeft };
    this.#counted.set(sequence, counted);
    this.#add(counted, 1);
  }

  /** Counts a sequence no more. */
  remove(sequence: Countable): void {
    const counted = this.#counted.get(sequence);
    if (!counted) return;
    this.#counted.delete(sequence);
    this.#add(counted, -1);
  }

  #add({ hasSlot, tokens, callerLeft }: Countable, sign: 1 | -1): void {
    const sum = this.#sum;
    if (callerLeft) sum.left += sign;
    if (hasSlot) {
      sum.busy += sign;
      sum.tokens += sign * tokens;
    } else {
      sum.waiting += sign;
      sum.waitingTokens += sign * tokens;
    }
  }
}
