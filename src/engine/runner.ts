/**
 * Runs a plan: fills ids, runs the session, and yields the logits that the next tokens are drawn from. Knows
 * where a sequence's ids go in the cache, and notes the cost of each run; neither draws nor schedules.
 */

import type { CostModel } from './cost-model.ts';
import type { KvCache } from './kv-cache.ts';
import type { Rows } from './ort/cache-memory.ts';
import type { Session } from './ort/session.ts';
import type { Chunk, Plan } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/** Bounds the chunk of a model that computes logits of every position (a 128 k vocabulary: 125 tokens). */
const MOST_LOGITS_BYTES = 64 * 2 ** 20;
/** Longer chunks are not faster, and neighbours wait for them. */
const MOST_CHUNK = 512;
/** Input of idle rows that lie between the rows of a run. */
const PAD_ID = 0n;

/**
 * Most prompt ids of one run.
 * @param logitsBytes of one position, if all positions of a run get logits; 0 if only the last do.
 * @param most the number that the options ask for, or that the context has.
 */
export function prefillChunk(logitsBytes: number, most: number): number {
  const fits = logitsBytes > 0 ? Math.floor(MOST_LOGITS_BYTES / logitsBytes) : MOST_CHUNK;
  return Math.max(2, Math.min(MOST_CHUNK, most, fits));
}

/** A sequence, and the logits `[vocab]` of its next token or the error of its run. */
export type Result = readonly [sequence: Sequence, logits: Float32Array | Error];

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
   * Runs the parts of a plan one after another. The caller draws from the logits before it takes the next
   * result: the next run overwrites them, and a draft is verified against the id that was drawn.
   * After an error the row is as long as before; its content past that length is undefined.
   */
  *run({ prefill, decode, verify }: Plan): Generator<Result, void, void> {
    for (const chunk of prefill) yield* this.#prefill(chunk);
    if (verify) yield* this.#verify(verify.sequence, verify.ids);
    if (decode.length > 0) yield* this.#decode(decode);
  }

  /** Empties a row after a failed run. */
  forget(slot: number): void {
    this.#cache.truncate(slot, 0);
    this.#session.forget(slot);
  }

  /** Appends a chunk of a prompt to its row. Yields logits after the prompt's last id only. */
  *#prefill({ sequence, start, count }: Chunk): Generator<Result, void, void> {
    const { prompt } = sequence.request;
    const done = start + count;
    const result = this.#append(sequence, prompt.slice(start, done), 1);
    if (result instanceof Error) yield [sequence, result];
    else if (done < prompt.length) sequence.notePrefill(done, this.#now());
    else for (const logits of result) yield [sequence, logits];
  }

  /**
   * Appends the last id and the draft to the row. Yields the logits after each of these ids in turn, as if
   * decoded one by one, until a drawn id differs from the draft; removes the rest of the draft from the row.
   */
  *#verify(sequence: Sequence, draft: readonly number[]): Generator<Result, void, void> {
    const { slot, promptLookup } = sequence;
    const length = this.#cache.length(slot);
    const result = this.#append(sequence, [sequence.lastId, ...draft], draft.length + 1);
    if (result instanceof Error) {
      yield [sequence, result];
      return;
    }
    let accepted = 0;
    for (const [index, logits] of result.entries()) {
      yield [sequence, logits];
      if (sequence.state !== 'decode' || sequence.lastId !== draft[index]) break;
      accepted++;
    }
    promptLookup.learn(draft.length, accepted);
    this.#cache.truncate(slot, length + 1 + accepted);
  }

  /**
   * Appends each sequence's last id to its row, in the cheapest runs over consecutive rows. Idle rows in
   * between get a pad id past their content. Yields in the order of `sequences`.
   */
  *#decode(sequences: readonly Sequence[]): Generator<Result, void, void> {
    const slots = sequences.map((sequence) => sequence.slot).sort((a, b) => a - b);
    const failures = new Map<number, Error>();
    for (const rows of this.#groups(slots)) {
      const last = rows.first + rows.count - 1;
      const members = sequences.filter(({ slot }) => slot >= rows.first && slot <= last);
      try {
        this.#decodeRows(rows, members);
      } catch (error) {
        for (const { slot } of members) failures.set(slot, asError(error));
      }
    }
    for (const sequence of sequences) {
      const { slot } = sequence;
      yield [sequence, failures.get(slot) ?? this.#logitsAt(this.#session.rowLogits + slot)];
    }
  }

  /** One run of several tokens of one row: the logits after the last `keep` tokens, or the error. */
  #append({ slot }: Sequence, ids: readonly number[], keep: number): Float32Array[] | Error {
    const session = this.#session;
    const lengths = [this.#cache.length(slot) + ids.length];
    for (const [index, id] of ids.entries()) session.ids[index] = BigInt(id);
    const began = this.#now();
    try {
      const rows = { first: slot, count: 1 };
      const written = session.run({ rows, lengths, tokens: ids.length, logitsAt: 0, keep });
      this.#costs.noteTokens(ids.length, this.#now() - began);
      this.#cache.commit(slot, ids);
      return Array.from({ length: keep }, (_, index) => this.#logitsAt(written - keep + index));
    } catch (error) {
      return asError(error);
    }
  }

  /** One run of one token of each of `rows`; `sequences` are the rows in use. */
  #decodeRows(rows: Rows, sequences: readonly Sequence[]): void {
    const { ids, rowLogits } = this.#session;
    const { first, count } = rows;
    ids.fill(PAD_ID, 0, count);
    for (const { slot, lastId } of sequences) ids[slot - first] = BigInt(lastId);
    const lengths = Array.from({ length: count }, (_, row) => this.#lengthAfter(first + row));
    const began = this.#now();
    this.#session.run({ rows, lengths, tokens: 1, logitsAt: rowLogits + first, keep: 1 });
    this.#costs.noteRows(count, this.#now() - began);
    for (const { slot, lastId } of sequences) this.#cache.commit(slot, [lastId]);
  }

  /** Consecutive rows to run together; idle rows in between, if that is cheaper than another run. */
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

  /** Length of a row after one more id. A full row, which is idle, loses its last id to the pad id. */
  #lengthAfter(slot: number): number {
    const length = this.#cache.length(slot);
    if (length < this.#cache.capacity) return length + 1;
    this.#cache.truncate(slot, length - 1);
    return length;
  }

  /** Logits by their index, counted in vocabularies. */
  #logitsAt(index: number): Float32Array {
    const { vocabSize } = this.#session.signature;
    return this.#session.logits.subarray(index * vocabSize, (index + 1) * vocabSize);
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
