/**
 * Executes what the scheduler planned: fills ids and mask, runs the session, and hands out the logits that the next tokens are drawn from.
 * Knows where a sequence's ids go in the cache; draws nothing and decides nothing.
 */
import type { KvCache } from './kv-cache.ts';
import type { Session } from './ort/session.ts';
import type { Plan } from './scheduler.ts';
import type { Sequence } from './sequence.ts';

/** Logits of every position of a chunk are computed: their memory bounds the chunk (a 128 k vocabulary: 125 tokens). */
const MOST_LOGITS_BYTES = 64 * 2 ** 20;
/** Longer chunks are not faster, and neighbours wait for them. */
const MOST_CHUNK = 256;
/** Fed to rows that only lie between others. */
const PAD_ID = 0n;

/** Most prompt ids of one run. */
export function prefillChunk(vocabSize: number, context: number): number {
  const fits = Math.floor(MOST_LOGITS_BYTES / (vocabSize * Float32Array.BYTES_PER_ELEMENT));
  return Math.max(1, Math.min(MOST_CHUNK, context, fits));
}

export class Runner {
  readonly #session: Session;
  readonly #cache: KvCache;
  /** Places in the session's logits before those of decode rows: so both runs of a step can be drawn from. */
  readonly #chunk: number;

  /** @param chunk as the session's memory was reserved for. */
  constructor(session: Session, cache: KvCache, chunk: number) {
    this.#session = session;
    this.#cache = cache;
    this.#chunk = chunk;
  }

  /**
   * Appends a chunk of a prompt to its row.
   * @returns logits `[vocab]` after the chunk's last id, valid until the next prefill.
   * @throws OrtError; the row is as long as before, what lies past it is undefined.
   */
  prefill({ sequence, start, count }: NonNullable<Plan['prefill']>): Float32Array {
    const { ids, mask } = this.#session;
    const chunk = sequence.request.prompt.slice(start, start + count);
    for (const [index, id] of chunk.entries()) ids[index] = BigInt(id);
    mask.fill(1n, 0, start + count);
    this.#session.run({ first: sequence.slot, count: 1 }, count, start + count, 0);
    this.#cache.commit(sequence.slot, chunk);
    return this.#logitsAt(count - 1);
  }

  /**
   * Appends each sequence's last id to its row, all in one run over the rows from the first to the last of them. Rows in between are fed
   * a pad id, which lands past what they hold.
   * @returns logits `[vocab]` of each sequence, in the order given, valid until the next decode.
   * @throws OrtError; the rows are as long as before.
   */
  decode(sequences: readonly Sequence[]): Float32Array[] {
    const slots = sequences.map((sequence) => sequence.slot);
    const first = Math.min(...slots);
    const count = Math.max(...slots) - first + 1;
    const { ids, mask } = this.#session;
    ids.fill(PAD_ID, 0, count);
    for (const { slot, lastId } of sequences) ids[slot - first] = BigInt(lastId);
    const lengths = Array.from({ length: count }, (_, row) => this.#lengthAfter(first + row));
    const width = Math.max(...lengths);
    mask.fill(0n, 0, count * width);
    for (const [row, length] of lengths.entries()) mask.fill(1n, row * width, row * width + length);
    this.#session.run({ first, count }, 1, width, this.#chunk);
    for (const { slot, lastId } of sequences) this.#cache.commit(slot, [lastId]);
    return slots.map((slot) => this.#logitsAt(this.#chunk + slot - first));
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
