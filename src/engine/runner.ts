/**
 * Executes what the scheduler planned: fills ids, runs the session, and hands out the logits that the next tokens are drawn from.
 * Knows where a sequence's ids go in the cache, and notes what each run cost; draws nothing and decides nothing.
 */

import type { CostModel } from './cost-model.ts';
import type { KvCache } from './kv-cache.ts';
import type { Rows } from './ort/cache-memory.ts';
import type { Session } from './ort/session.ts';
import type { Chunk } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/** Where a model computes logits of every position of a chunk, their memory bounds the chunk (a 128 k vocabulary: 125 tokens). */
const MOST_LOGITS_BYTES = 64 * 2 ** 20;
/** Longer chunks are not faster, and neighbours wait for them. */
const MOST_CHUNK = 512;
/** Fed to rows that only lie between others. */
const PAD_ID = 0n;

/**
 * Most prompt ids of one run.
 * @param logitsBytes of one position, where the logits of all positions of a run are computed; 0 where only the last are.
 * @param most that is asked for, or that there is room for.
 */
export function prefillChunk(logitsBytes: number, most: number): number {
  const fits = logitsBytes > 0 ? Math.floor(MOST_LOGITS_BYTES / logitsBytes) : MOST_CHUNK;
  return Math.max(2, Math.min(MOST_CHUNK, most, fits));
}

export class Runner {
  readonly #session: Session;
  readonly #cache: KvCache;
  readonly #costs: CostModel;
  readonly #now: () => number;

  constructor(session: Session, cache: KvCache, costs: CostModel, now: () => number) {
    this.#session = session;
    this.#cache = cache;
    this.#costs = costs;
    this.#now = now;
  }

  /**
   * Appends a chunk of a prompt to its row.
   * @returns logits `[vocab]` after the chunk's last id, valid until the next prefill.
   * @throws OrtError; the row is as long as before, what lies past it is undefined.
   */
  prefill({ sequence, start, count }: Chunk): Float32Array {
    const [last] = this.#append(sequence.slot, sequence.request.prompt.slice(start, start + count), 1);
    return last as Float32Array;
  }

  /**
   * Appends the sequence's last id and a draft to its row. What of the draft turns out wrong is to be truncated.
   * @returns logits `[vocab]` after each of these ids, valid until the next prefill.
   * @throws OrtError as in `prefill`.
   */
  verify(sequence: Sequence, draft: readonly number[]): Float32Array[] {
    return this.#append(sequence.slot, [sequence.lastId, ...draft], draft.length + 1);
  }

  /**
   * Appends each sequence's last id to its row, in as few runs over consecutive rows as are worth it. Rows in between are fed a pad id, which
   * lands past what they hold.
   * @returns of each sequence, in the order given, logits `[vocab]`, valid until the next decode, or why its run failed; its row is as long as
   * before then.
   */
  decode(sequences: readonly Sequence[]): (Float32Array | Error)[] {
    const slots = sequences.map((sequence) => sequence.slot).sort((a, b) => a - b);
    const failures = new Map<number, Error>();
    for (const rows of this.#groups(slots)) {
      const last = rows.first + rows.count - 1;
      const those = sequences.filter(({ slot }) => slot >= rows.first && slot <= last);
      try {
        this.#step(rows, those);
      } catch (error) {
        for (const { slot } of those) failures.set(slot, error instanceof Error ? error : new Error(String(error)));
      }
    }
    return sequences.map(({ slot }) => failures.get(slot) ?? this.#logitsAt(this.#session.rowPlaces + slot));
  }

  /** What a failed run has left in the row is not trusted. */
  forget(slot: number): void {
    this.#cache.truncate(slot, 0);
    this.#session.forget(slot);
  }

  /** One run of several tokens of one row: logits after the last `keep` of them. */
  #append(slot: number, ids: readonly number[], keep: number): Float32Array[] {
    const session = this.#session;
    const length = this.#cache.length(slot) + ids.length;
    for (const [index, id] of ids.entries()) session.ids[index] = BigInt(id);
    const began = this.#now();
    const written = session.run({ first: slot, count: 1 }, [length], ids.length, 0, keep);
    this.#costs.noteTokens(ids.length, this.#now() - began);
    this.#cache.commit(slot, ids);
    return Array.from({ length: keep }, (_, index) => this.#logitsAt(written - keep + index));
  }

  /** One run of one token of each of `rows`, of which `sequences` are those that are in use. */
  #step(rows: Rows, sequences: readonly Sequence[]): void {
    const { ids, rowPlaces } = this.#session;
    const { first, count } = rows;
    ids.fill(PAD_ID, 0, count);
    for (const { slot, lastId } of sequences) ids[slot - first] = BigInt(lastId);
    const lengths = Array.from({ length: count }, (_, row) => this.#lengthAfter(first + row));
    const began = this.#now();
    this.#session.run(rows, lengths, 1, rowPlaces + first, 1);
    this.#costs.noteRows(count, this.#now() - began);
    for (const { slot, lastId } of sequences) this.#cache.commit(slot, [lastId]);
  }

  /** Consecutive rows to run together: rows in between are computed for nothing, where that is cheaper than a run more. */
  #groups(slots: readonly number[]): Rows[] {
    if (!this.#session.together) return slots.map((first) => ({ first, count: 1 }));
    const { rows } = this.#costs;
    const groups: { first: number; count: number }[] = [];
    for (const slot of slots) {
      const last = groups.at(-1);
      const wider = last ? slot - last.first + 1 : 0;
      const next = wider === (last?.count ?? 0) + 1;
      if (last && (next || rows.estimate(wider) <= rows.estimate(last.count) + rows.estimate(1))) last.count = wider;
      else groups.push({ first: slot, count: 1 });
    }
    return groups;
  }

  /** Of a row fed one id. A full row that only lies between others gives up its last id for the pad. */
  #lengthAfter(slot: number): number {
    const length = this.#cache.length(slot);
    if (length < this.#cache.capacity) return length + 1;
    this.#cache.truncate(slot, length - 1);
    return length;
  }

  #logitsAt(place: number): Float32Array {
    const { vocabSize } = this.#session.signature;
    return this.#session.logits.subarray(place * vocabSize, (place + 1) * vocabSize);
  }
}
