/**
 * The rows of the KV cache: which ids each of them contains, which of them are the slots of sequences, and
 * which ids a new sequence takes from another row. A row keeps its ids after the end of its sequence, as long
 * as the budget allows. The session owns the memory.
 */
import type { Match } from './prefix-tree.ts';
import { RowBudget, type RowMemory } from './row-budget.ts';
import { RowIds } from './row-ids.ts';

/**
 * Number of ids of an input that are computed even if a row contains all of them. The first token is drawn
 * from the logits after the last id, and a run over one position rounds differently from a run over several:
 * with two ids, a reused prefix gives the same logits as an input that is computed from its start.
 */
const MIN_COMPUTED = 2;
/** Fewer ids are neither copied nor stored: a run of a few ids more costs as little. */
const MIN_COPIED = 32;
/**
 * A sequence drops the ids of its slot after the common prefix if they are at most this part of the prefix.
 * Otherwise it copies the prefix to another slot, so that later sequences can use both.
 */
const DROPPED_PART = 1 / 8;
/** Assumed share of the stored ids that a later sequence uses. */
const STORED_USED = 1 / 8;

/** The ids of a new sequence in the cache, and where they come from. */
export interface Begun {
  readonly slot: number;
  /** Length of the input's prefix that the slot contains: 0 … input − 2. */
  readonly cachedTokens: number;
  /** The row from which they were copied, and if a sequence was running there; absent: no copy. */
  readonly copiedFrom?: { readonly row: number; readonly running: boolean };
  /** Index of the first id that differs from the row's id; absent if one is a prefix of the other. */
  readonly divergedAt?: number;
}

/** The input of a sequence. */
export interface CacheInput {
  readonly ids: ArrayLike<number>;
  /** Rows with another salt have nothing in common with this input. */
  readonly salt: string;
  /** All ids must be computed. */
  readonly whole?: boolean;
  /**
   * Another row may contain the same input: any longer prefix is copied, whoever computed it. Otherwise at
   * least 32 ids are, and not those of decode steps, so that a copy never changes the logits.
   */
  readonly related?: boolean;
}

export interface KvCacheOptions {
  /** Rows 0 … slots − 1 are the slots. */
  readonly slots: number;
  /** Tokens per row. */
  readonly capacity: number;
  /** Number of rows after the slots, which contain ids of ended sequences; default: 0. */
  readonly storedRows?: number;
  /** False if a row keeps all ids or none; default: true. */
  readonly truncates?: boolean;
  /** Budget of all rows in bytes; default: none. */
  readonly budget?: number;
  /** Default: a row holds no bytes. */
  readonly memory?: RowMemory;
  /**
   * Copies the keys and values of the first ids of a row to another row; false if that failed: the content of
   * the other row is then undefined. Absent: the memory of the device cannot be copied.
   */
  readonly copyRow?: (from: Match, to: number) => boolean;
  /**
   * True if a copy of so many ids takes less time than this share of their computation; default: always. The
   * share is the part of the computation that the copy saves, or the probability with which it saves all.
   */
  readonly copyPays?: (tokens: number, share: number) => boolean;
}

/** Contents that were dropped for lack of memory or of rows. */
export interface Evictions {
  readonly rows: number;
  readonly tokens: number;
}

/** The length of the common prefix of an input and each row. */
type Common = ReadonlyMap<number, number>;

const NO_MEMORY: RowMemory = { bytesFor: () => 0, releaseRow: () => 0 };

export class KvCache {
  /** Tokens per row. */
  readonly capacity: number;
  readonly budget: RowBudget;
  readonly #options: KvCacheOptions;
  readonly #ids: RowIds;
  /** The slots that have a sequence. */
  readonly #taken = new Set<number>();
  readonly #rows: number;
  #evictions: Evictions | undefined;

  constructor(options: KvCacheOptions) {
    const { slots, capacity, storedRows = 0, truncates = true, memory = NO_MEMORY } = options;
    const { budget = Number.POSITIVE_INFINITY } = options;
    this.#options = options;
    this.capacity = capacity;
    this.#rows = slots + storedRows;
    this.#ids = new RowIds(this.#rows, capacity, truncates);
    const evict = (row: number): void => this.#evict(row);
    this.budget = new RowBudget({ rows: this.#rows, bytes: budget, memory, evict });
  }

  /** Number of free slots. */
  get free(): number {
    return this.#free.length;
  }

  /** True if the content of a row can be copied to another row. */
  get copies(): boolean {
    return this.#options.copyRow !== undefined;
  }

  /** Number of ids in the row, which is the index of the next id. */
  length(row: number): number {
    return this.#ids.length(row);
  }

  /** The contents that were dropped since the last call; undefined if there are none. */
  takeEvictions(): Evictions | undefined {
    const evictions = this.#evictions;
    this.#evictions = undefined;
    return evictions;
  }

  /** Length of the longest prefix of an input that a row contains. */
  available(input: CacheInput): number {
    const common = this.#common(input);
    const own = this.#free.map((slot) => this.#kept(slot, common, input));
    return Math.max(0, this.#source(common, input)?.length ?? 0, ...own);
  }

  /**
   * Takes a free slot for a sequence: the one whose ids the sequence continues, or else the one whose ids are
   * worth least. Its ids stay until `begin`.
   * @returns undefined if no slot is free
   */
  take(input: CacheInput): number | undefined {
    const free = this.#free;
    if (free.length === 0) return undefined;
    const common = this.#common(input);
    const copied = this.#source(common, input)?.length ?? 0;
    let best: number | undefined;
    let least: readonly number[] = [];
    for (const slot of free) {
      const kept = this.#kept(slot, common, input);
      const continued = !this.copies || (kept > copied - MIN_COPIED && !this.#isDear(slot, kept));
      // Most kept ids first, then ids that another row has too, then the least recently used ids.
      const order = [continued ? -kept : 0, this.#ids.isCovered(slot) ? 0 : 1, this.budget.usedAt(slot)];
      if (best === undefined || isBefore(order, least)) [best, least] = [slot, order];
    }
    if (best !== undefined) this.#taken.add(best);
    return best;
  }

  /**
   * Begins a sequence in its slot: keeps the common prefix, or copies a longer one from another row. If the
   * slot loses ids that are worth it, another row stores them.
   * @param tokens number of tokens for which the sequence needs memory soon, those of the input included
   */
  begin(slot: number, input: CacheInput, tokens = input.ids.length): Begun {
    const common = this.#common(input);
    const own = this.#kept(slot, common, input);
    const source = this.#source(common, input, slot, own);
    const before = this.length(slot);
    this.budget.setBusy(slot, true);
    // Storing the slot's ids evicts only rows that are older than them: the source must be newer.
    if (source) this.budget.touch(source.row);
    this.#store(slot, source ? 0 : own);
    this.budget.touch(slot);
    const copied = source !== undefined && this.#copy(source, slot);
    if (!copied) {
      this.truncate(slot, own);
      this.#ids.setSalt(slot, input.salt);
    }
    this.#ids.begin(slot);
    this.#releaseRest(slot, tokens);
    const compared = copied ? this.length(source.row) : before;
    const shared = common.get(copied ? source.row : slot) ?? 0;
    return {
      slot,
      cachedTokens: this.length(slot),
      ...(copied && { copiedFrom: { row: source.row, running: this.budget.isBusy(source.row) } }),
      ...(!input.whole && shared < Math.min(compared, input.ids.length) && { divergedAt: shared }),
    };
  }

  /**
   * Records ids whose keys and values a run has appended to a row.
   * @throws RangeError if the ids exceed the capacity of the row.
   */
  commit(row: number, ids: ArrayLike<number>): void {
    this.#ids.append(row, ids);
  }

  /** Drops all ids of a row, and gives back its memory. */
  clear(row: number): void {
    this.truncate(row, 0);
    this.budget.release(row, 0);
  }

  /** Frees a slot. Its ids stay for a later sequence. */
  release(slot: number): void {
    this.#taken.delete(slot);
    this.budget.setBusy(slot, false);
    this.budget.touch(slot);
  }

  /** Drops all ids after the first `length`, or all ids if the cache cannot drop a part. */
  truncate(row: number, length: number): void {
    this.#ids.truncate(row, length);
  }

  /** Free slots. */
  get #free(): number[] {
    const slots = Array.from({ length: this.#options.slots }, (_, slot) => slot);
    return slots.filter((slot) => !this.#taken.has(slot));
  }

  #common({ ids, salt }: CacheInput): Common {
    return this.#ids.common(ids, salt);
  }

  /** Number of first ids that a slot keeps for an input. */
  #kept(slot: number, common: Common, { ids, whole = false }: CacheInput): number {
    const most = Math.min(common.get(slot) ?? 0, ids.length - MIN_COMPUTED);
    return whole ? 0 : this.#ids.kept(slot, Math.max(0, most));
  }

  /** True if the ids that a slot drops are worth a copy. */
  #isDear(slot: number, kept: number): boolean {
    const dropped = this.length(slot) - kept;
    return dropped >= MIN_COPIED && dropped > kept * DROPPED_PART && !this.#ids.isCovered(slot);
  }

  /**
   * The row from which the longest prefix of the input can be copied, if that is longer than `own` and worth
   * it.
   * @param slot a row that is not a source
   */
  #source(common: Common, { ids, whole, related }: CacheInput, slot = -1, own = 0): Match | undefined {
    if (!this.copies || whole) return undefined;
    let best: Match | undefined;
    let least = own + (related ? 1 : MIN_COPIED);
    for (const [row, shared] of common) {
      const isEnded = shared === this.length(row) && !this.budget.isBusy(row);
      const copyable = related || isEnded ? shared : this.#ids.copyable(row, shared);
      const usable = Math.min(copyable, ids.length - MIN_COMPUTED);
      if (row === slot || usable < least) continue;
      best = { row, length: usable };
      least = usable + 1;
    }
    return best && this.#copyPays(best.length, 1 - own / best.length) ? best : undefined;
  }

  #copyPays(tokens: number, share: number): boolean {
    const { copyPays = () => true } = this.#options;
    return copyPays(tokens, share);
  }

  /** Copies a slot's ids to a row that stores them, if it drops ids that are worth it. */
  #store(slot: number, kept: number): void {
    if (!this.copies || !this.#isDear(slot, kept) || !this.#copyPays(this.length(slot), STORED_USED)) return;
    const usedAt = this.budget.usedAt(slot);
    const row = this.#storedRow(usedAt);
    if (row === undefined) return;
    this.#evict(row);
    this.budget.release(row, 0);
    if (this.#copy({ row: slot, length: this.length(slot) }, row, usedAt)) this.budget.setUsedAt(row, usedAt);
  }

  /** The row after the slots that was used least recently, and before `usedAt`. */
  #storedRow(usedAt: number): number | undefined {
    let oldest: number | undefined;
    for (let row = this.#options.slots; row < this.#rows; row += 1)
      if (this.budget.usedAt(row) < (oldest === undefined ? usedAt : this.budget.usedAt(oldest))) oldest = row;
    return oldest;
  }

  /**
   * Makes the ids of a row the first ids of another one.
   * @param before rows that were used later are not evicted for the memory of the copy
   * @returns false if there is no memory for the copy (the row has not changed), or if the copy failed (the
   * row is then empty)
   */
  #copy(from: Match, to: number, before?: number): boolean {
    if (!this.budget.take(to, from.length, from.row, before)) return false;
    if (this.#options.copyRow?.(from, to) !== true) {
      this.truncate(to, 0);
      return false;
    }
    this.#ids.copy(from, to);
    return true;
  }

  /**
   * Gives back the memory of a slot that its sequence does not need soon. The memory of some devices and
   * models is given back as a whole only: the slot then keeps all of it, unless it contains no ids.
   */
  #releaseRest(slot: number, tokens: number): void {
    const length = this.length(slot);
    const { truncates = true } = this.#options;
    const needed = truncates ? Math.max(length, tokens) : length;
    this.budget.release(slot, needed);
    if (length === 0 && this.budget.held(slot) > this.budget.bytesFor(needed)) this.budget.release(slot, 0);
  }

  /** Drops the ids of an idle row. */
  #evict(row: number): void {
    const length = this.length(row);
    if (length === 0) return;
    const { rows, tokens } = this.#evictions ?? { rows: 0, tokens: 0 };
    this.#evictions = { rows: rows + 1, tokens: tokens + length };
    this.truncate(row, 0);
    this.budget.setUsedAt(row, 0);
  }
}

/** Compares lists of numbers of one length, the first ones first. */
function isBefore(one: readonly number[], other: readonly number[]): boolean {
  const differs = one.findIndex((value, index) => value !== other[index]);
  return differs >= 0 && (one[differs] ?? 0) < (other[differs] ?? 0);
}
