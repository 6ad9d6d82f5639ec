/**
 * Runs a plan: writes the ids, runs the session, and yields the logits of the next tokens. Maps sequences to
 * rows of the KV cache, and records the cost of each run. Neither samples nor schedules.
 */

import type { KvCache } from './cache/kv-cache.ts';
import type { Match } from './cache/prefix-tree.ts';
import type { CostModel } from './cost-model.ts';
import type { Rows } from './ort/cache/memory.ts';
import type { DecodeSteps, Logits } from './ort/gpu/decode-steps.ts';
import type { Session } from './ort/session.ts';
import type { Chunk, Plan } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/**
 * Bounds the chunk of a model that computes the logits of every position: 125 tokens with a vocabulary of 128
 * k.
 */
const MAX_LOGITS_BYTES = 64 * 2 ** 20;
/** Longer chunks are not faster, and the other sequences wait for them. */
export const MAX_CHUNK = 512;
/** Input of idle rows that lie between the rows of a run. */
const PAD_ID = 0n;

/**
 * Maximum number of prompt ids in one run.
 * @param logitsBytes size of the logits of one position, if all positions of a run get logits; 0 if only the
 * last positions do.
 * @param max upper limit: the requested chunk or the context.
 */
export function prefillChunk(logitsBytes: number, max: number): number {
  const fits = logitsBytes > 0 ? Math.floor(MAX_LOGITS_BYTES / logitsBytes) : MAX_CHUNK;
  return Math.max(2, Math.min(MAX_CHUNK, max, fits));
}

/**
 * A sequence, and the logits of its next token, or the error of its run. With `scored`, the logits
 * are those that score the prompt id at this index.
 */
export type Result = readonly [sequence: Sequence, logits: Logits | Error, scored?: number];

/** The logits of the row of each slot, or the error of its run. */
type Results = ReadonlyMap<number, Logits | Error>;

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
   * Runs the parts of a plan one after another. The caller must draw from the logits before it takes the next
   * result: the next run overwrites them, and a draft is verified against the drawn id. After an error the
   * row keeps its previous length; its content past that length is undefined.
   */
  *run({ prefill, decode, verify }: Plan): Generator<Result, void, void> {
    for (const chunk of prefill) yield* this.#prefill(chunk);
    if (verify) yield* this.#verify(verify);
    if (decode.length > 0) yield* this.#decode(decode);
  }

  /** Empties a row after a failed run. */
  forget(slot: number): void {
    this.#session.forget(slot);
    this.#cache.clear(slot);
  }

  /**
   * Copies the first keys and values of a row to another row. Only if `session.copiesRows`.
   * @returns false if the runtime failed: the content of the other row is then undefined
   */
  copyRow({ row, length }: Match, to: number): boolean {
    const began = this.#now();
    try {
      this.#session.copyRow(row, to, length);
      this.#costs.copies.note(length, this.#now() - began);
      return true;
    } catch {
      return false; // The prompt is computed instead.
    }
  }

  /** Appends a chunk of an input to its row. Yields logits after the input's last id only. */
  *#prefill(chunk: Chunk): Generator<Result, void, void> {
    const { sequence, start, count } = chunk;
    const { input } = sequence;
    if (sequence.scoresPrompt) {
      yield* this.#prefillScored(chunk);
      return;
    }
    const done = start + count;
    const result = this.#append(sequence, input.slice(start, done), 1);
    if (result instanceof Error) yield [sequence, result];
    else if (done < input.length) sequence.notePrefill(done, this.#now());
    else for (const logits of result) yield [sequence, logits];
  }

  /**
   * Appends a chunk of a prompt to its row. Yields the logits after each id, which score the next id of the
   * prompt; those after the last id are for the first token. A model that gives the logits of one position
   * only runs once for each id.
   */
  *#prefillScored({ sequence, start, count }: Chunk): Generator<Result, void, void> {
    const { input } = sequence;
    const done = start + count;
    const began = this.#now();
    let positions = 0;
    for (let from = start; from < done; from += positions) {
      const result = this.#appendScored(sequence, from, done);
      if (result instanceof Error) {
        yield [sequence, result];
        return;
      }
      positions = result.length;
      for (const [index, logits] of result.entries()) {
        const next = from + index + 1;
        yield next < input.length ? [sequence, logits, next] : [sequence, logits];
        if (sequence.state === 'finished') return;
      }
    }
    this.#costs.scored.note(count, this.#now() - began);
    if (done < input.length) sequence.notePrefill(done, this.#now());
  }

  /** One run of the ids of a prompt from an index, as many as can have logits. */
  #appendScored(sequence: Sequence, from: number, done: number): Logits[] | Error {
    try {
      const ids = sequence.input.slice(from, Math.min(done, from + this.#session.reserveScores()));
      return this.#append(sequence, ids, ids.length, true);
    } catch (error) {
      return asError(error);
    }
  }

  /**
   * Appends the last id and the draft to the row in one run. Yields the logits after each of these ids in
   * turn, as in single decode steps, until a drawn id differs from the draft. Then removes the rest of the
   * draft from the row.
   */
  *#verify({ sequence, ids: draft, forced }: NonNullable<Plan['verify']>): Generator<Result, void, void> {
    const { slot } = sequence;
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
    if (!forced) sequence.promptLookup.learn(draft.length, accepted);
    this.#cache.truncate(slot, length + 1 + accepted);
  }

  /**
   * Appends the last id of each sequence to its row. Chooses the cheapest division into runs over consecutive
   * rows. An idle row inside a run gets a pad id after its content. Yields in the order of `sequences`.
   */
  *#decode(sequences: readonly Sequence[]): Generator<Result, void, void> {
    const { steps } = this.#session;
    const results = steps ? this.#decodeOn(steps, sequences) : this.#decodeInRuns(sequences);
    for (const sequence of sequences) yield [sequence, results.get(sequence.slot) ?? new Error('The row did not run')];
  }

  /** One step over the rows of all sequences. */
  #decodeOn(steps: DecodeSteps, sequences: readonly Sequence[]): Results {
    const began = this.#now();
    try {
      const rows = sequences.map(({ slot, lastId }) => ({ row: slot, id: lastId, length: this.#lengthAfter(slot) }));
      steps.run(rows, (row) => this.#lengthAfter(row));
      this.#costs.noteRows(sequences.length, this.#now() - began);
      for (const { slot, lastId } of sequences) this.#cache.commit(slot, [lastId]);
      return new Map(sequences.map(({ slot }) => [slot, steps.result(slot)]));
    } catch (error) {
      return new Map(sequences.map(({ slot }) => [slot, asError(error)]));
    }
  }

  #decodeInRuns(sequences: readonly Sequence[]): Results {
    const slots = sequences.map((sequence) => sequence.slot).sort((a, b) => a - b);
    const results = new Map<number, Logits | Error>();
    for (const rows of this.#groups(slots)) {
      const last = rows.first + rows.count - 1;
      const members = sequences.filter(({ slot }) => slot >= rows.first && slot <= last);
      try {
        this.#decodeRows(rows, members);
        for (const { slot } of members) results.set(slot, this.#logitsAt(this.#session.rowLogits + slot));
      } catch (error) {
        for (const { slot } of members) results.set(slot, asError(error));
      }
    }
    return results;
  }

  /**
   * One run of several tokens of one row. Returns the logits after each of the last `keep` tokens, or the
   * error. The cost of a `scored` run is not recorded here, because it includes the scores.
   */
  #append({ slot }: Sequence, ids: readonly number[], keep: number, scored = false): Logits[] | Error {
    const session = this.#session;
    const lengths = [this.#cache.length(slot) + ids.length];
    for (const [index, id] of ids.entries()) session.ids[index] = BigInt(id);
    const began = this.#now();
    try {
      const rows = { first: slot, count: 1 };
      const written = session.run({ rows, lengths, tokens: ids.length, logitsAt: 0, keep });
      if (!scored) this.#costs.noteTokens(ids.length, this.#now() - began);
      this.#cache.commit(slot, ids);
      return Array.from({ length: keep }, (_, index) => this.#logitsAt(written - keep + index));
    } catch (error) {
      return asError(error);
    }
  }

  /** One run of one token for each of `rows`; `sequences` are the sequences in these rows. */
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

  /**
   * Groups the slots into runs over consecutive rows. A run includes idle rows if that is cheaper than
   * another run.
   */
  #groups(slots: readonly number[]): Rows[] {
    if (!this.#session.batchesRows) return slots.map((first) => ({ first, count: 1 }));
    const { rows } = this.#costs;
    const groups: { first: number; count: number }[] = [];
    const padded: number[] = [];
    for (const slot of slots) {
      const last = groups.at(-1);
      const wider = last ? slot - last.first + 1 : 0;
      const next = wider === (last?.count ?? 0) + 1;
      const pays = last && rows.estimate(wider) <= rows.estimate(last.count) + rows.estimate(1);
      if (last && (next || (pays && this.#canPad(last.first + last.count, slot, padded)))) last.count = wider;
      else groups.push({ first: slot, count: 1 });
    }
    for (const slot of padded) this.#cache.budget.setBusy(slot, false);
    return groups;
  }

  /**
   * True if there is memory for one more id in each of these rows, in which no sequence decodes.
   * @param padded gets the idle ones of these rows. They count as busy meanwhile: the memory of the next row
   *   must not be taken from them
   */
  #canPad(from: number, to: number, padded: number[]): boolean {
    const { budget, capacity } = this.#cache;
    for (let slot = from; slot < to; slot += 1) {
      if (!budget.take(slot, Math.min(this.#cache.length(slot) + 1, capacity))) return false;
      if (!budget.isBusy(slot)) padded.push(slot);
      budget.setBusy(slot, true);
    }
    return true;
  }

  /**
   * Length of a row after one more id. In a full row, which is always idle, the pad id replaces the last id.
   */
  #lengthAfter(slot: number): number {
    const length = this.#cache.length(slot);
    if (length < this.#cache.capacity) return length + 1;
    this.#cache.truncate(slot, length - 1);
    return length;
  }

  /** The logits at a position index of the last run. */
  #logitsAt(index: number): Logits {
    return { all: () => this.#session.logitsAt(index) };
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
