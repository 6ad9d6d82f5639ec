/**
 * The interruptions of one job: from the first of its outputs that loses its slot until the last one goes on.
 * Narrates them, and sums up the time. An interruption of several outputs at once is narrated as one.
 */
import type { Resumed } from '../../bridge/lives.ts';
import { narrate } from '../../narration/narrate.ts';
import type { Choice } from './choice.ts';

export class Interruptions {
  /** The outputs that had a slot and wait. */
  readonly #waiting = new Set<Choice>();
  /** Outputs that were told that the engine tests suspects. */
  readonly #held = new Set<Choice>();
  #recomputed = 0;
  #lostMs = 0;
  #totalMs = 0;

  /** Milliseconds of all interruptions that have ended. */
  get totalMs(): number {
    return this.#totalMs;
  }

  /** The engine was lost while an output had a slot. */
  lost(choice: Choice, reason: string, tokens: number): void {
    if (this.#waiting.size === 0) narrate('request.interrupted', { reason, tokens_out: tokens });
    this.#waiting.add(choice);
  }

  /** The engine has taken the memory of an output. */
  preempted(choice: Choice, tokens: number): void {
    this.#waiting.add(choice);
    narrate('request.preempted', { tokens_dropped: tokens });
  }

  /** An output waits for the test of suspects. Narrated once for all outputs that wait. */
  held(choice: Choice): void {
    if (this.#held.size === 0) narrate('request.held', {});
    this.#held.add(choice);
    if (choice.firstSlot) this.#waiting.add(choice);
  }

  /** An output has a slot. */
  started(choice: Choice): void {
    this.#held.delete(choice);
  }

  /** An output goes on. */
  resumed(choice: Choice, { recomputed, lostMs }: Resumed): void {
    this.#recomputed += recomputed;
    this.#lostMs = Math.max(this.#lostMs, lostMs);
    this.#waiting.delete(choice);
    this.#endIfOver();
  }

  /** The sequence of an output has ended. */
  ended(choice: Choice): void {
    this.#held.delete(choice);
    if (this.#waiting.delete(choice) && choice.finish) this.#endIfOver();
  }

  /** The last output that goes on ends the interruption. */
  #endIfOver(): void {
    if (this.#waiting.size > 0 || this.#lostMs === 0) return;
    narrate('request.resumed', { tokens_recomputed: this.#recomputed, interrupted_ms: this.#lostMs });
    this.#totalMs += this.#lostMs;
    this.#recomputed = 0;
    this.#lostMs = 0;
  }
}
