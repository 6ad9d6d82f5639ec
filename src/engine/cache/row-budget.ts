/**
 * The memory of the rows of the KV cache, against its budget: the bytes that each row holds, and the order in
 * which idle rows were used. Evicts idle rows, the least recently used first. Knows no ids.
 */

/** The memory of the rows, which the session owns. */
export interface RowMemory {
  /** Bytes that a row holds when its first `tokens` tokens are used. */
  bytesFor(tokens: number): number;
  /**
   * Gives back the memory of a row after its first `tokens` tokens, as far as possible.
   * @returns the bytes that the row still holds
   */
  releaseRow(row: number, tokens: number): number;
}

interface Holding {
  bytes: number;
  /** Sequence number of the last use. Among idle rows, the lowest is evicted first. */
  usedAt: number;
  /** A sequence runs in the row: its memory is never taken. */
  busy: boolean;
}

interface RowBudgetParts {
  readonly rows: number;
  /** Maximum of `used`. */
  readonly bytes: number;
  readonly memory: RowMemory;
  /** Drops the ids of a row; the memory of the row is given back after it. */
  readonly evict: (row: number) => void;
}

export class RowBudget {
  /** Maximum of `used`, in bytes. */
  readonly bytes: number;
  readonly #memory: RowMemory;
  /** Bytes of a row, by its number of tokens: computed once, because every step asks for them. */
  readonly #bytesOf = new Map<number, number>();
  readonly #rows: readonly Holding[];
  readonly #evict: (row: number) => void;
  #used = 0;
  #uses = 0;

  constructor({ rows, bytes, memory, evict }: RowBudgetParts) {
    this.bytes = bytes;
    this.#memory = memory;
    this.#evict = evict;
    this.#rows = Array.from({ length: rows }, () => ({ bytes: 0, usedAt: 0, busy: false }));
  }

  /** Bytes that all rows hold. */
  get used(): number {
    return this.#used;
  }

  /** Bytes that a row holds when its first `tokens` tokens are used. */
  bytesFor(tokens: number): number {
    const known = this.#bytesOf.get(tokens);
    if (known !== undefined) return known;
    const bytes = this.#memory.bytesFor(tokens);
    this.#bytesOf.set(tokens, bytes);
    return bytes;
  }

  /** Bytes that a row holds. */
  held(row: number): number {
    return this.#at(row).bytes;
  }

  /** Sequence number of the last use of a row; 0 for an unused row. */
  usedAt(row: number): number {
    return this.#at(row).usedAt;
  }

  isBusy(row: number): boolean {
    return this.#at(row).busy;
  }

  /** Marks a row as the most recently used one. */
  touch(row: number): void {
    this.#uses += 1;
    this.#at(row).usedAt = this.#uses;
  }

  /** Marks a row as the one that was used at this sequence number. */
  setUsedAt(row: number, usedAt: number): void {
    this.#at(row).usedAt = usedAt;
  }

  /** Marks a row as busy or idle. */
  setBusy(row: number, busy: boolean): void {
    this.#at(row).busy = busy;
  }

  /**
   * Takes the memory for the first `tokens` tokens of a row. Evicts idle rows if the budget is used up.
   * @param kept a row that is not evicted
   * @param before evicts only rows that were used before this sequence number
   * @returns false if the memory does not suffice; idle rows may have been evicted then
   */
  take(row: number, tokens: number, kept?: number, before = Number.POSITIVE_INFINITY): boolean {
    const holding = this.#at(row);
    const more = this.bytesFor(tokens) - holding.bytes;
    if (more <= 0) return true;
    while (this.#used + more > this.bytes) {
      const oldest = this.#oldest(before, row, kept);
      if (oldest < 0) return false;
      this.#evict(oldest);
      this.release(oldest, 0);
    }
    holding.bytes += more;
    this.#used += more;
    return true;
  }

  /** Gives back the memory of a row after its first `tokens` tokens. */
  release(row: number, tokens: number): void {
    const holding = this.#at(row);
    if (holding.bytes <= this.bytesFor(tokens)) return;
    const bytes = this.#memory.releaseRow(row, tokens);
    this.#used += bytes - holding.bytes;
    holding.bytes = bytes;
  }

  /** The idle row with memory that was used least recently, and before `before`; -1 if there is none. */
  #oldest(before: number, ...kept: readonly (number | undefined)[]): number {
    let oldest = -1;
    let usedAt = before;
    for (const [row, holding] of this.#rows.entries()) {
      if (holding.busy || holding.bytes === 0 || holding.usedAt >= usedAt || kept.includes(row)) continue;
      oldest = row;
      usedAt = holding.usedAt;
    }
    return oldest;
  }

  #at(row: number): Holding {
    const holding = this.#rows[row];
    if (!holding) throw new RangeError(`There is no row ${row}`);
    return holding;
  }
}
