/**
 * Unigram encoding of one word: the division into tokens with the highest sum of scores (Viterbi), as in the
 * Rust library (`models/unigram`, `encode_optimized`). Linear in the word's length times the longest token.
 * Pure.
 */
import { z } from 'zod';
import type { Steps } from '../../../protocol/start/slices.ts';
import { EncodeError } from '../encode-error.ts';
import { Trie } from './trie.ts';
import { byteIdsOf, type Vocabulary, vocabularyOf, type WordModel } from './vocabulary.ts';

export const unigramFields = z.object({
  /** Tokens with their logarithmic probabilities. The index is the id. */
  vocab: z.array(z.tuple([z.string(), z.number()])),
  unk_id: z.number().nullish(),
  byte_fallback: z.boolean().nullish(),
});

/** The tokens with their ids. */
export function* listedTokens(vocab: z.infer<typeof unigramFields>['vocab']): Iterable<readonly [string, number]> {
  for (const [id, [token]] of vocab.entries()) yield [token, id];
}

/** An unknown character scores this much less than the worst token (SentencePiece's kUnkPenalty). */
const UNKNOWN_PENALTY = 10;

export class Unigram implements WordModel {
  readonly vocabulary: Vocabulary;
  readonly #unknown: number | undefined;
  readonly #byteFallback: boolean;
  readonly #scores: Float64Array;
  readonly #unknownScore: number;
  readonly #trie: Trie;

  static *of(fields: z.infer<typeof unigramFields>): Steps<Unigram> {
    const { vocab } = fields;
    const vocabulary = yield* vocabularyOf(listedTokens(vocab));
    return new Unigram(fields, vocabulary, yield* Trie.of(vocab.map(([token]) => token)));
  }

  private constructor(
    { vocab, unk_id, byte_fallback }: z.infer<typeof unigramFields>,
    vocabulary: Vocabulary,
    trie: Trie,
  ) {
    this.vocabulary = vocabulary;
    this.#unknown = unk_id ?? undefined;
    this.#byteFallback = byte_fallback ?? false;
    this.#scores = Float64Array.from(vocab, ([, score]) => score);
    this.#unknownScore = this.#scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY);
    this.#unknownScore -= UNKNOWN_PENALTY;
    this.#trie = trie;
  }

  /**
   * @throws EncodeError `unencodable` for a character that the vocabulary lacks, if there is no unknown token
   *   either. The Rust library fails here too.
   */
  encode(word: string): readonly number[] {
    const ids: number[] = [];
    for (const piece of this.#piecesOf(word)) {
      for (const id of this.#idsOf(piece)) ids.push(id);
    }
    return ids;
  }

  #idsOf(piece: string): readonly number[] {
    const id = this.vocabulary.idOf.get(piece);
    if (id !== undefined) return [id];
    const bytes = this.#byteFallback ? byteIdsOf(piece, this.vocabulary.idOf) : undefined;
    return bytes ?? [this.#unknownId()];
  }

  #unknownId(): number {
    if (this.#unknown === undefined)
      throw new EncodeError(
        'unencodable',
        'the vocabulary of the model lacks a character of the text and has no unknown token',
      );
    return this.#unknown;
  }

  /** Pieces of the best path, left to right. Adjacent unknown characters form one piece. */
  *#piecesOf(word: string): Generator<string> {
    const { starts, ids } = this.#bestPath(word);
    const cuts: number[] = [];
    for (let end = word.length; end > 0; end = starts[end] ?? 0) cuts.push(end);
    let from = 0;
    for (let end = cuts.pop(); end !== undefined; end = cuts.pop()) {
      const next = cuts.at(-1);
      if (ids[end] === this.#unknown && next !== undefined && ids[next] === this.#unknown) continue;
      yield word.slice(from, end);
      from = end;
    }
  }

  /** For every position where a token may end: start and id of the best token that ends there. */
  #bestPath(word: string): { readonly starts: Int32Array; readonly ids: Int32Array } {
    const scores = new Float64Array(word.length + 1);
    const starts = new Int32Array(word.length + 1).fill(-1);
    const ids = new Int32Array(word.length + 1);
    const consider = (start: number, end: number, id: number, score: number): void => {
      const sum = score + (scores[start] ?? 0);
      if ((starts[end] ?? -1) >= 0 && sum <= (scores[end] ?? 0)) return;
      scores[end] = sum;
      starts[end] = start;
      ids[end] = id;
    };
    for (let start = 0; start < word.length; ) {
      const charEnd = start + ((word.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
      let hasSingle = false;
      this.#trie.eachAt(word, start, (end, id) => {
        consider(start, end, id, this.#scores[id] ?? 0);
        hasSingle ||= end === charEnd;
      });
      if (!hasSingle) consider(start, charEnd, this.#unknownId(), this.#unknownScore);
      start = charEnd;
    }
    return { starts, ids };
  }
}
