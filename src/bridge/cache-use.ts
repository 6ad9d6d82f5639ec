/** The memory of the KV cache of the current engine, from its reports. */
import type { CacheUse as Reported } from '../protocol/messages.ts';

/** Ids of ended sequences that were dropped for lack of memory or of rows. */
export type Evicted = NonNullable<Reported['evicted']>;

export class CacheUse {
  readonly #onEvicted: ((evicted: Evicted) => void) | undefined;
  #usedBytes = 0;
  #evictions = 0;

  /** @param onEvicted called for each report with evictions */
  constructor(onEvicted?: (evicted: Evicted) => void) {
    this.#onEvicted = onEvicted;
  }

  /** Bytes that all rows hold; 0 without an engine. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Number of prefixes that all engines have dropped. */
  get evictions(): number {
    return this.#evictions;
  }

  /** Adds a report. */
  note(cache: Reported | undefined): void {
    if (!cache) return;
    this.#usedBytes = cache.usedBytes;
    if (!cache.evicted) return;
    this.#evictions += cache.evicted.rows;
    this.#onEvicted?.(cache.evicted);
  }

  /** Called when the engine is lost: its memory is free. */
  forget(): void {
    this.#usedBytes = 0;
  }
}
