/**
 * The vocabulary of a tokenizer for grammars. Prepared once, on the event loop, in slices: other work runs
 * between two slices.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { buildVocabulary, type VocabularyData } from '../../grammar/matching/vocabulary.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Longest time of a slice in milliseconds, apart from its last step of about half a millisecond. */
const SLICE_MS = 1;

export class GrammarVocabulary {
  readonly #tokenizer: Pick<Tokenizer, 'bytesOf'>;
  readonly #size: number;
  #prepared: Promise<VocabularyData> | undefined;
  #receive: (data: VocabularyData) => void = () => undefined;

  /** @param size number of ids that the model can generate and read */
  constructor(tokenizer: Pick<Tokenizer, 'bytesOf'>, size: number) {
    this.#tokenizer = tokenizer;
    this.#size = size;
  }

  /**
   * Starts the preparation without waiting for it. A failure is left to `get`.
   * @param receive gets the vocabulary once, before `get` resolves
   */
  prepare(receive: (data: VocabularyData) => void): void {
    this.#receive = receive;
    void this.get().catch(() => undefined);
  }

  /**
   * Starts the preparation, unless it has begun, and waits for it: half a second for 128 000 ids. After a
   * failure, the next call tries again.
   * @throws Error if there is no memory for it
   */
  get(): Promise<VocabularyData> {
    this.#prepared ??= this.#prepare().catch((error: unknown) => {
      this.#prepared = undefined;
      throw error;
    });
    return this.#prepared;
  }

  async #prepare(): Promise<VocabularyData> {
    const work = buildVocabulary(this.#size, (id) => this.#tokenizer.bytesOf(id));
    for (;;) {
      await nextTurn();
      const until = performance.now() + SLICE_MS;
      do {
        const { done, value } = work.next();
        if (!done) continue;
        this.#receive(value);
        return value;
      } while (performance.now() < until);
    }
  }
}
