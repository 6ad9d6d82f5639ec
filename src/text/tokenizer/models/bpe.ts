/**
 * Byte-pair encoding of one word: starts with the characters and repeatedly merges the pair with the lowest
 * rank, as the Rust library does (`models/bpe`). The pairs are in a heap, so a word of n characters takes n
 * log n steps. Pure except for its cache.
 */
import { z } from 'zod';
import type { Steps } from '../../../protocol/start/slices.ts';
import { PairTable } from './pair-table.ts';
import { byteIdsOf, entriesOf, type Vocabulary, vocabularyField, vocabularyOf, type WordModel } from './vocabulary.ts';

const absent = z.string().nullish();
const off = z.boolean().nullish();
/** UTF-16 units of the longest text that a file may add to each character of a word. Real ones add four. */
export const MAX_AFFIX_UNITS = 64;
const affix = z.string().max(MAX_AFFIX_UNITS).nullish();
export const bpeFields = z.object({
  vocab: vocabularyField,
  /** `'a b'` in older files; pairs where tokens may contain spaces. */
  merges: z.custom<readonly (string | readonly [string, string])[]>(
    (value) => Array.isArray(value),
    'expected an array of merges',
  ),
  unk_token: absent,
  continuing_subword_prefix: affix,
  end_of_word_suffix: affix,
  fuse_unk: off,
  byte_fallback: off,
  ignore_merges: off,
});

/** Maximum number of cached words: a few thousand words make up most of every text. */
const CACHE_SIZE = 10_000;
/** Longer words are not cached, because they rarely repeat. */
const LONGEST_CACHED = 64;
/**
 * Packs the rank and the position of a pair into one exact number: words up to 2²⁶ characters, ranks up to
 * 2²⁷.
 */
const POSITIONS = 2 ** 26;
/** Merges that are read between two turns of the event loop. */
const STEP_MERGES = 1024;

export class Bpe implements WordModel {
  readonly vocabulary: Vocabulary;
  readonly #fields: z.infer<typeof bpeFields>;
  readonly #unknown: number | undefined;
  readonly #ranks: PairTable;
  /** By rank, the id of the merged token. */
  readonly #mergedIds: Int32Array;
  readonly #cache = new Map<string, readonly number[]>();

  private constructor(fields: z.infer<typeof bpeFields>, vocabulary: Vocabulary) {
    this.#fields = fields;
    this.vocabulary = vocabulary;
    this.#unknown = fields.unk_token == null ? undefined : this.#idOf(fields.unk_token);
    this.#ranks = new PairTable(fields.merges.length);
    this.#mergedIds = new Int32Array(fields.merges.length);
  }

  /** @throws Error if a merge names a token that the vocabulary lacks. */
  static *of(fields: z.infer<typeof bpeFields>): Steps<Bpe> {
    const bpe = new Bpe(fields, yield* vocabularyOf(entriesOf(fields.vocab)));
    const prefixLength = fields.continuing_subword_prefix?.length ?? 0;
    for (const [rank, merge] of fields.merges.entries()) {
      const [left = '', right = ''] = typeof merge === 'string' ? merge.split(' ') : merge;
      bpe.#ranks.set(bpe.#idOf(left), bpe.#idOf(right), rank);
      bpe.#mergedIds[rank] = bpe.#idOf(left + right.slice(prefixLength));
      if (rank % STEP_MERGES === 0) yield;
    }
    return bpe;
  }

  encode(word: string): readonly number[] {
    const whole = this.#fields.ignore_merges ? this.vocabulary.idOf.get(word) : undefined;
    if (whole !== undefined) return [whole];
    const cached = this.#cache.get(word);
    if (cached !== undefined) return cached;
    const ids = this.#merge(this.#symbolsOf(word));
    if (word.length <= LONGEST_CACHED) {
      if (this.#cache.size >= CACHE_SIZE) this.#cache.clear();
      this.#cache.set(word, ids);
    }
    return ids;
  }

  #idOf(token: string): number {
    const id = this.vocabulary.idOf.get(token);
    if (id === undefined)
      throw new Error(
        `model.vocab lacks the token ${JSON.stringify(token)}, which model.merges or model.unk_token names`,
      );
    return id;
  }

  /**
   * The first symbols of a word. A character that the vocabulary lacks becomes its bytes, otherwise the
   * unknown token, otherwise nothing. As in the Rust library, byte ids that follow an unknown character come
   * before its unknown token.
   */
  #symbolsOf(word: string): number[] {
    const { continuing_subword_prefix: prefix, end_of_word_suffix: suffix, byte_fallback, fuse_unk } = this.#fields;
    const ids: number[] = [];
    let pending = false;
    let end = 0;
    for (const char of word) {
      const first = end === 0;
      end += char.length;
      const symbol = (first ? '' : (prefix ?? '')) + char + (end === word.length ? (suffix ?? '') : '');
      const id = this.vocabulary.idOf.get(symbol);
      const bytes = id === undefined && byte_fallback ? byteIdsOf(symbol, this.vocabulary.idOf) : undefined;
      if (bytes) {
        ids.push(...bytes);
        continue;
      }
      if (pending && !(id === undefined && fuse_unk)) this.#pushUnknown(ids);
      pending = id === undefined;
      if (id !== undefined) ids.push(id);
    }
    if (pending) this.#pushUnknown(ids);
    return ids;
  }

  #pushUnknown(ids: number[]): void {
    if (this.#unknown !== undefined) ids.push(this.#unknown);
  }

  /**
   * Merges in place. `ids` is indexed by position; `next` and `previous` hold the neighbours of a position.
   * An id of −1 marks a symbol that was merged into its left neighbour.
   */
  #merge(ids: number[]): number[] {
    if (ids.length < 2) return ids;
    const next = ids.map((_, at) => at + 1);
    const previous = ids.map((_, at) => at - 1);
    const queue = new MinHeap();
    const enqueue = (at: number): void => {
      const right = ids[next[at] ?? -1];
      const rank = right === undefined ? -1 : this.#ranks.get(ids[at] ?? 0, right);
      if (rank >= 0) queue.push(rank * POSITIONS + at);
    };
    for (let at = 0; at + 1 < ids.length; at++) enqueue(at);
    for (let best = queue.pop(); best !== undefined; best = queue.pop()) {
      const at = best % POSITIONS;
      const rank = (best - at) / POSITIONS;
      const removed = next[at] ?? ids.length;
      const left = ids[at] ?? -1;
      const right = ids[removed] ?? -1;
      // Skips an outdated pair, one of whose symbols was merged with another neighbour.
      if (left < 0 || right < 0 || this.#ranks.get(left, right) !== rank) continue;
      ids[at] = this.#mergedIds[rank] ?? left;
      ids[removed] = -1;
      const after = next[removed] ?? ids.length;
      next[at] = after;
      if (after < ids.length) previous[after] = at;
      if ((previous[at] ?? -1) >= 0) enqueue(previous[at] ?? 0);
      enqueue(at);
    }
    return ids.filter((id) => id >= 0);
  }
}

/** Binary heap of numbers, lowest first. */
class MinHeap {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] ?? 0;
      if (above <= value) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const lowest = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return lowest;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
      const below = heap[child] ?? 0;
      if (below >= last) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return lowest;
  }
}
