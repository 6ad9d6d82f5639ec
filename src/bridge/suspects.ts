/**
 * The sequences that may be the cause of lost engines. A sequence that ran in two losses in a row is a
 * suspect: it is tested alone. The one that loses the engine alone is the culprit. Pure: no engine, no clock.
 */

/**
 * A sequence with this many ids more than at the loss is no suspect any more, and the next loss is its first
 * one again. The cause of a loss is in the step after the last reported id; a few more ids rule out a fault
 * of the steps around it.
 */
export const PROVEN_IDS = 8;

/** The part of a sequence that is judged. */
export interface Suspect {
  /** Number of ids of the output. */
  readonly generated: number;
  /** True while no step includes the sequence, because its subscriber lags. */
  readonly paused: boolean;
}

/** The losses of one sequence. */
interface Losses {
  /** Losses in a row in which the sequence ran. */
  readonly count: number;
  /** With this many ids the sequence is proven. */
  readonly provenAt: number;
}

export class Suspects<S extends Suspect> {
  readonly #losses = new WeakMap<S, Losses>();
  /** In order of the losses. */
  readonly #unproven = new Set<S>();
  /** True from a culprit until another sequence is proven or complete: then the engine may be the cause. */
  #blamed = false;

  get size(): number {
    return this.#unproven.size;
  }

  /**
   * The suspect that runs alone now; undefined if all other sequences may run. A paused one is not tested.
   */
  get alone(): S | undefined {
    for (const sequence of this.#unproven) if (!sequence.paused) return sequence;
    return undefined;
  }

  has(sequence: S): boolean {
    return this.#unproven.has(sequence);
  }

  /**
   * Notes a loss of the engine whose cause is not known.
   * @param ran the sequences with a slot that were not paused
   */
  lost(ran: readonly S[]): void {
    for (const sequence of ran) {
      const before = this.#losses.get(sequence);
      const count = before && sequence.generated < before.provenAt ? before.count + 1 : 1;
      this.#losses.set(sequence, { count, provenAt: sequence.generated + PROVEN_IDS });
      if (count >= 2) this.#unproven.add(sequence);
    }
  }

  /**
   * Notes that the engine was lost while a suspect ran alone.
   * @returns the number of losses that it has caused, with this one
   */
  convict(culprit: S): { readonly losses: number; readonly isEngineSuspected: boolean } {
    const losses = (this.#losses.get(culprit)?.count ?? 0) + 1;
    const isEngineSuspected = this.#blamed;
    this.#unproven.delete(culprit);
    this.#blamed = true;
    return { losses, isEngineSuspected };
  }

  /** Notes that a sequence has more ids. A suspect with enough of them is no suspect any more. */
  progressed(sequence: S): void {
    const losses = this.#losses.get(sequence);
    if (!losses || sequence.generated < losses.provenAt) return;
    this.#losses.delete(sequence);
    this.#unproven.delete(sequence);
    this.#blamed = false;
  }

  /** Notes that the engine has completed a sequence. */
  completed(sequence: S): void {
    this.#unproven.delete(sequence);
    this.#blamed = false;
  }

  /** Forgets a sequence that has ended for another reason. */
  forget(sequence: S): void {
    this.#unproven.delete(sequence);
  }
}
