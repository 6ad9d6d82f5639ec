/**
 * The ids in each row of the KV cache, and the rows that begin like an input. Rows with different salts have
 * nothing in common. Pure bookkeeping.
 */
import { type Match, PrefixTree } from './prefix-tree.ts';

interface Row {
  length: number;
  /** Number of first ids that were computed by runs over several ids, as those of a prompt are. */
  prefilled: number;
  /** Number of first ids that the row had when its sequence began, however they were computed. */
  base: number;
  /** The same, if the ids before `base` count as such; `prefilled` if `base` is 0. */
  prefilledAfterBase: number;
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
    this.#rows = Array.from({ length: rows }, () => ({
      length: 0,
      prefilled: 0,
      base: 0,
      prefilledAfterBase: 0,
      salt: '',
    }));
  }

  /** Number of ids in the row. */
  length(row: number): number {
    return this.#at(row).length;
  }

  /**
   * Number of ids of the row that an input may copy, if they have the first `shared` ids in common. The keys
   * and values of a run over several ids do not depend on the division into runs; those of a run over one id
   * do. So only ids of the first kind are copied. The ids with which the sequence of the row began count as
   * such for an input that contains all of them: without this row, the input would begin with them too.
   */
  copyable(row: number, shared: number): number {
    const { prefilled, base, prefilledAfterBase } = this.#at(row);
    return Math.min(shared, shared >= base ? prefilledAfterBase : prefilled);
  }

  /** Notes that a sequence begins with the ids of the row. */
  begin(row: number): void {
    const own = this.#at(row);
    own.base = own.length;
    own.prefilledAfterBase = own.length;
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
    const length = own.length + ids.length;
    if (ids.length > 1 && own.prefilled === own.length) own.prefilled = length;
    if (ids.length > 1 && own.prefilledAfterBase === own.length) own.prefilledAfterBase = length;
    own.length = length;
    this.#tree(own.salt).append(row, ids);
  }

  /** Drops all ids after the first `length`, or all ids if the row cannot drop a part. */
  truncate(row: number, length: number): void {
    const own = this.#at(row);
    cut(own, this.kept(row, Math.min(own.length, length)));
    const tree = this.#trees.get(own.salt);
    tree?.truncate(row, own.length);
    if (tree?.isEmpty) this.#trees.delete(own.salt);
  }

  /** Makes the ids of a row the first ids of another one. */
  copy(from: Match, to: number): void {
    this.truncate(to, 0);
    const [source, target] = [this.#at(from.row), this.#at(to)];
    Object.assign(target, source);
    cut(target, from.length);
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

/** Drops all ids after the first `length`. */
function cut(row: Row, length: number): void {
  row.length = length;
  row.prefilled = Math.min(row.prefilled, length);
  if (row.base > length) row.base = 0;
  row.prefilledAfterBase = row.base === 0 ? row.prefilled : Math.min(row.prefilledAfterBase, length);
}
