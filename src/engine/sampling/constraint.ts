/**
 * The grammar of one sequence: the ids that may be drawn next, and the progress of the output through the
 * grammar. The masks come from the grammar, and this file keeps the one of the next token only. Pure.
 */

import type { Mask } from '../../grammar/matching/found-mask.ts';
import type { Grammar } from '../../grammar/matching/grammar.ts';
import type { Matcher } from '../../grammar/matching/matcher.ts';

/** The part of a sequence that decides if an end id may be drawn. */
interface Ends {
  readonly endIds: ReadonlySet<number>;
  /** True while no end id may be drawn. */
  readonly belowMinTokens: boolean;
}

export class Constraint {
  readonly #matcher: Matcher;
  /** Tokens that may follow the next one. */
  #left: number;
  /** Mask of the next token; undefined until it is needed. */
  #mask: Mask | undefined;
  /** Number of tokens for which there was no choice, without those of an earlier sequence. */
  forced = 0;
  /** Called once, when the sequence has ended. */
  readonly release: () => void;

  /** @param maxTokens maximum number of tokens of the output */
  constructor(grammar: Pick<Grammar, 'start'>, maxTokens: number, release: () => void) {
    this.#matcher = grammar.start();
    this.#left = maxTokens - 1;
    this.release = release;
  }

  /** True if the output so far is complete. */
  get accepts(): boolean {
    return this.#matcher.accepts;
  }

  /** True if the output is complete, and no text can follow. */
  get finished(): boolean {
    return this.#matcher.finished;
  }

  /** The ids that the grammar allows next, without the end ids of the sequence. */
  get mask(): Mask {
    this.#mask ??= this.#matcher.mask(this.#left);
    return this.#mask;
  }

  /** True if an end id may be drawn: the output is complete, and the sequence has end ids and `minTokens`. */
  mayEnd({ endIds, belowMinTokens }: Ends): boolean {
    return endIds.size > 0 && !belowMinTokens && this.accepts;
  }

  /**
   * True if the output is complete and nothing may be drawn: no id that leads to the end in time but end ids,
   * and no end id, because the sequence has none or is below `minTokens`.
   */
  isOver(ends: Ends): boolean {
    if (this.finished) return true;
    if (!this.accepts || this.mayEnd(ends)) return false;
    const { mask } = this;
    return 'ids' in mask && mask.ids.every((id) => ends.endIds.has(id));
  }

  /** The only id that may be drawn; undefined if there is a choice, or no id. */
  onlyId(ends: Ends): number | undefined {
    const { mask } = this;
    if (!('ids' in mask) || mask.ids.length !== 1 || this.mayEnd(ends)) return undefined;
    const [id] = mask.ids;
    return id === undefined || ends.endIds.has(id) ? undefined : id;
  }

  /**
   * Adds a drawn id, which is no end id.
   * @throws Error if the grammar does not allow it
   */
  accept(id: number, ends: Ends): void {
    if (this.onlyId(ends) !== undefined) this.forced += 1;
    this.follow(id);
  }

  /**
   * Adds an id that an earlier sequence has drawn. Computes no mask: a long output has thousands of ids.
   * @throws Error if the grammar does not allow it
   */
  follow(id: number): void {
    if (!this.#matcher.accept(id)) throw new Error(`The grammar does not allow the id ${id}`);
    this.#left -= 1;
    this.#mask = undefined;
  }

  /** The next ids without a choice, at most `max`. */
  nextForced(max: number): readonly number[] {
    return this.#matcher.forced(max);
  }

  /** Number of these ids that the grammar allows one after another. */
  allowedPrefix(ids: readonly number[]): number {
    return this.#matcher.allowedPrefix(ids);
  }
}
