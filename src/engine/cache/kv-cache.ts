/**
 * The slots of the KV cache: records which slots are free, and the token ids in each. The session owns the
 * memory. A slot is a row of the cache. It keeps its ids after its sequence has finished, so that a later
 * prompt with the same prefix reuses them. Pure bookkeeping.
 */

/** Number of prompt ids that are computed even if the slot contains the whole prompt. */
const MIN_COMPUTED = 2;
/**
 * Fewer ids are not copied from the slot of an unrelated sequence: a run of a few ids more costs as little.
 */
const MIN_COPIED = 32;

/** A free slot taken for a prompt. */
export interface TakenSlot {
  readonly slot: number;
  /** Length of the prompt's prefix that the slot already contains: 0 … prompt − 2. */
  readonly cachedTokens: number;
  /** Index of the first prompt id that differs from the slot's id; absent if one is a prefix of the other. */
  readonly divergedAt?: number;
}

/** The first `length` ids of a slot. */
export interface Prefix {
  readonly slot: number;
  readonly length: number;
}

interface Slot {
  /** The ids whose keys and values are in the row; the first `length` are valid. */
  readonly ids: Int32Array;
  length: number;
  /**
   * Number of first ids that were computed as a prompt, by runs over several ids. Their keys and values do
   * not depend on the division into runs; those of a run over one id do.
   */
  prefilled: number;
  busy: boolean;
  /** Sequence number of the last release. Among equal slots, the one released first is taken. */
  released: number;
}

export class KvCache {
  /** Tokens per slot. */
  readonly capacity: number;
  /**
   * True if a slot can drop its last ids and keep the ids before them. Otherwise a slot keeps all ids or
   * none.
   */
  readonly #truncates: boolean;
  readonly #slots: readonly Slot[];
  #releases = 0;

  constructor(slots: number, capacity: number, truncates = true) {
    this.capacity = capacity;
    this.#truncates = truncates;
    this.#slots = Array.from({ length: slots }, () => ({
      ids: new Int32Array(capacity),
      length: 0,
      prefilled: 0,
      busy: false,
      released: 0,
    }));
  }

  get free(): number {
    return this.#slots.reduce((count, slot) => count + (slot.busy ? 0 : 1), 0);
  }

  /** Number of ids in the slot, which is the index of the next id. */
  length(slot: number): number {
    return this.#at(slot).length;
  }

  /**
   * Takes the free slot with the longest common prefix and keeps that prefix; returns undefined if no slot is
   * free. At least the last two ids of the prompt are computed. The first token is drawn from the logits
   * after the last id, and a run over one position rounds differently from a run over several: with two ids,
   * a reused prefix gives the same logits as a prompt that is computed from its start.
   * @param empty keep nothing, because all ids of the prompt must be computed.
   */
  take(prompt: ArrayLike<number>, empty = false): TakenSlot | undefined {
    let best:
      | { readonly index: number; readonly common: number; readonly cachedTokens: number; readonly slot: Slot }
      | undefined;
    for (const [index, slot] of this.#slots.entries()) {
      if (slot.busy) continue;
      const common = commonPrefix(slot, prompt);
      const cachedTokens = this.#keep(slot, Math.max(0, Math.min(common, prompt.length - MIN_COMPUTED)));
      const more = cachedTokens - (best?.cachedTokens ?? -1);
      if (!best || more > 0 || (more === 0 && slot.released < best.slot.released))
        best = { index, common, cachedTokens, slot };
    }
    if (!best) return undefined;
    const { index, common, slot } = best;
    const cachedTokens = empty ? 0 : best.cachedTokens;
    const diverged = !empty && common < Math.min(slot.length, prompt.length);
    slot.busy = true;
    shorten(slot, cachedTokens);
    return { slot: index, cachedTokens, ...(diverged && { divergedAt: common }) };
  }

  /**
   * Records ids whose keys and values a run has appended to the slot's row.
   * @throws RangeError if the ids exceed the slot's capacity.
   */
  commit(slot: number, ids: ArrayLike<number>): void {
    const row = this.#at(slot);
    if (row.length + ids.length > this.capacity) throw new RangeError(`Slot ${slot} is full`);
    row.ids.set(ids, row.length);
    if (ids.length > 1 && row.prefilled === row.length) row.prefilled += ids.length;
    row.length += ids.length;
  }

  /**
   * The other slot, free or busy, from which the longest prefix of the prompt can be copied to a slot.
   * Undefined if no slot has a longer prefix than the slot itself.
   * @param related the slot may contain the same prompt: any longer prefix counts. Otherwise the copied ids
   * must be at least 32 more, and computed as a prompt, so that a copy never changes the logits.
   */
  sourceFor(slot: number, prompt: ArrayLike<number>, related: boolean): Prefix | undefined {
    let best: Prefix | undefined;
    let least = this.#at(slot).length + (related ? 1 : MIN_COPIED);
    for (const [index, source] of this.#slots.entries()) {
      if (index === slot) continue;
      const usable = related ? source.length : source.prefilled;
      const length = Math.min(commonPrefix(source, prompt), usable, prompt.length - MIN_COMPUTED);
      if (length < least) continue;
      best = { slot: index, length };
      least = length + 1;
    }
    return best;
  }

  /** Records that a slot now contains the first `length` ids of another one, and nothing else. */
  copy({ slot: from, length }: Prefix, to: number): void {
    const [source, target] = [this.#at(from), this.#at(to)];
    target.ids.set(source.ids.subarray(0, length));
    target.length = length;
    target.prefilled = Math.min(source.prefilled, length);
  }

  /** Frees the slot. Its ids stay for a later prompt. */
  release(slot: number): void {
    const row = this.#at(slot);
    row.busy = false;
    row.released = ++this.#releases;
  }

  /** Drops all ids after the first `length`, or all ids if the cache cannot drop a part. */
  truncate(slot: number, length: number): void {
    const row = this.#at(slot);
    shorten(row, this.#keep(row, Math.min(row.length, length)));
  }

  /** Number of ids that a slot keeps when all ids after the first `length` are dropped. */
  #keep(slot: Slot, length: number): number {
    return this.#truncates || length === slot.length ? length : 0;
  }

  #at(slot: number): Slot {
    const row = this.#slots[slot];
    if (!row) throw new RangeError(`There is no slot ${slot}`);
    return row;
  }
}

function shorten(slot: Slot, length: number): void {
  slot.length = length;
  slot.prefilled = Math.min(slot.prefilled, length);
}

/** Length of the common prefix of slot and prompt. */
function commonPrefix(slot: Slot, prompt: ArrayLike<number>): number {
  const length = Math.min(slot.length, prompt.length);
  let common = 0;
  while (common < length && slot.ids[common] === prompt[common]) common++;
  return common;
}
