/**
 * The ids in each row of the KV cache, and the rows that begin like an input. Rows with different salts have
 * nothing in common. Pure bookkeeping.
 */
import { type Match, PrefixTree } from './prefix-tree.ts';

interface Row {
  length: number;
  prefilled: number;
  salt: string;
}

export class RowIds {
  /** Maximum number of ids of a row. */
  readonly #capacity: number;
  /** False if a row keeps all ids or none. */
  readonly #truncates: boolean;
  readonly #rows: readonly Row[];
  /** The ids of the rows, by salt. */
  readonly #trees = new Map<string, PrefixTree>();

  constructor(rows: number, capacity: number, truncates: boolean) {
    this.#capacity = capacity;
    this.#truncates = truncates;
    this.#rows = Array.from({ length: rows }, () => ({ length: 0, prefilled: 0, salt: '' }));
  }

  /** Number of ids in the row. */
  length(row: number): number {
    return this.#at(row).length;
  }

  /**
   * Number of first ids of the row that were computed as a prompt, by runs over several ids. Their keys and
   * values do not depend on the division into runs; those of a run over one id do.
   */
  prefilled(row: number): number {
    return this.#at(row).prefilled;
  }

  /** True if another row begins with all ids of this one. An empty row: true. */
  isCovered(row: number): boolean {
    return this.#trees.get(this.#at(row).salt)?.isCovered(row) ?? true;
  }

  /** The length of the common prefix of the ids and each row, the longest first. Other rows are absent. */
  common(ids: ArrayLike<number>, salt: string): ReadonlyMap<number, number> {
    const matches = this.#trees.get(salt)?.matches(ids) ?? [];
    return new Map([...matches].map(({ row, length }) => [row, length]));
  }

  /** Number of ids that a row keeps when all ids after the first `length` are dropped. */
  kept(row: number, length: number): number {
    return this.#truncates || length === this.length(row) ? length : 0;
  }

  /** Puts an empty row among those of a salt. */
  setSalt(row: number, salt: string): void {
    const own = this.#at(row);
    if (own.length === 0) own.salt = salt;
  }

  /** @throws RangeError if the ids exceed the capacity of the row. */
  append(row: number, ids: ArrayLike<number>): void {
    const own = this.#at(row);
    if (own.length + ids.length > this.#capacity) throw new RangeError(`Slot ${row} is full`);
    if (ids.length > 1 && own.prefilled === own.length) own.prefilled += ids.length;
    own.length += ids.length;
    this.#tree(own.salt).append(row, ids);
  }

  /** Drops all ids after the first `length`, or all ids if the row cannot drop a part. */
  truncate(row: number, length: number): void {
    const own = this.#at(row);
    own.length = this.kept(row, Math.min(own.length, length));
    own.prefilled = Math.min(own.prefilled, own.length);
    const tree = this.#trees.get(own.salt);
    tree?.truncate(row, own.length);
    if (tree?.isEmpty) this.#trees.delete(own.salt);
  }

  /** Makes the ids of a row the first ids of another one. */
  copy(from: Match, to: number): void {
    this.truncate(to, 0);
    const [source, target] = [this.#at(from.row), this.#at(to)];
    target.salt = source.salt;
    target.length = from.length;
    target.prefilled = Math.min(source.prefilled, from.length);
    this.#tree(source.salt).copy(from, to);
  }

  #tree(salt: string): PrefixTree {
    const known = this.#trees.get(salt);
    if (known) return known;
    const tree = new PrefixTree();
    this.#trees.set(salt, tree);
    return tree;
  }

  #at(row: number): Row {
    const own = this.#rows[row];
    if (!own) throw new RangeError(`There is no slot ${row}`);
    return own;
  }
}
