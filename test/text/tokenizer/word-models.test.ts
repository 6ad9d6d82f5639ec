/**
 * The word models (byte-pair encoding, unigram) against their definitions, on random vocabularies and words.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { finished } from '../../../src/protocol/start/slices.ts';
import { Bpe } from '../../../src/text/tokenizer/models/bpe.ts';
import { Unigram } from '../../../src/text/tokenizer/models/unigram.ts';
import { sampleSize } from '../../support/sample.ts';

type Merge = [string, string];

/**
 * Byte-pair encoding by definition: find the best pair in the whole word, merge its first occurrence, repeat.
 */
function slowly(word: string, merges: readonly Merge[]): string[] {
  const symbols = Array.from(word);
  for (;;) {
    const ranks = symbols.map((left, at) => merges.findIndex(([a, b]) => a === left && b === symbols[at + 1]));
    const best = Math.min(...ranks.filter((rank) => rank >= 0));
    if (!Number.isFinite(best)) return symbols;
    const at = ranks.indexOf(best);
    symbols.splice(at, 2, symbols.slice(at, at + 2).join(''));
  }
}

/** Merges over an alphabet of three letters; each merges two earlier tokens. */
const merges = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 14 }).map((picks) => {
  const tokens = ['a', 'b', '😀'];
  const made: Merge[] = [];
  for (const [left, right] of picks) {
    const pair: Merge = [tokens[left % tokens.length]!, tokens[right % tokens.length]!];
    if (tokens.includes(pair.join(''))) continue;
    tokens.push(pair.join(''));
    made.push(pair);
  }
  return { tokens, made };
});
const words = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), maxLength: 60 });

describe('byte-pair encoding', () => {
  it('with a heap gives the ids of the definition', () => {
    fc.assert(
      fc.property(merges, words, ({ tokens, made }, word) => {
        const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
        const ids = finished(Bpe.of({ vocab, merges: made } as never)).encode(word);
        expect(ids.map((id) => tokens[id])).toEqual(slowly(word, made));
      }),
      { numRuns: sampleSize(3_000, 500) },
    );
  });

  it('refuses a merge of missing tokens', () => {
    expect(() => finished(Bpe.of({ vocab: { a: 0 }, merges: ['a b'] } as never))).toThrow('"b"');
  });

  it('gives one unknown token for each unknown character, or for each run of them', () => {
    const fields = { vocab: { '?': 0, a: 1 }, merges: [], unk_token: '?' };
    expect(finished(Bpe.of({ ...fields } as never)).encode('xxaxx')).toEqual([0, 0, 1, 0, 0]);
    expect(finished(Bpe.of({ ...fields, fuse_unk: true } as never)).encode('xxaxx')).toEqual([0, 1, 0]);
  });
});

describe('unigram encoding', () => {
  it('finds the path with the highest sum of scores', () => {
    const pieces = ['a', 'b', '😀', 'aa', 'ab', 'bab', '😀a', 'aab😀'];
    const best = (word: string, scores: readonly number[]): number => {
      if (word === '') return 0;
      const ways = pieces.map((piece, at) =>
        word.startsWith(piece) ? scores[at]! + best(word.slice(piece.length), scores) : Number.NEGATIVE_INFINITY,
      );
      return Math.max(...ways);
    };
    const scored = fc.array(fc.integer({ min: -40, max: -1 }), { minLength: pieces.length, maxLength: pieces.length });
    const short = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), maxLength: 12 });
    fc.assert(
      fc.property(scored, short, (scores, word) => {
        const ids = finished(Unigram.of({ vocab: pieces.map((piece, at) => [piece, scores[at]!]) })).encode(word);
        expect(ids.map((id) => pieces[id]).join('')).toBe(word);
        expect(ids.reduce((sum, id) => sum + scores[id]!, 0)).toBe(best(word, scores));
      }),
      { numRuns: sampleSize(1_000, 200) },
    );
  });

  it('refuses an unknown character only without an unknown token', () => {
    expect(finished(Unigram.of({ vocab: [['?', -1]], unk_id: 0 })).encode('xyz')).toEqual([0]);
    expect(() => finished(Unigram.of({ vocab: [['a', -1]] })).encode('x')).toThrow('no unknown token');
  });
});
