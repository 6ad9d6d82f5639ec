/** Merges from scores have the order of the files of transformers, in both versions of its converter. */
import { describe, expect, it } from 'vitest';
import { mergesOf } from '../../../../../src/model/checkpoint/gguf/tokenizer/score-merges.ts';
import { finished } from '../../../../../src/protocol/start/slices.ts';
import { Bpe } from '../../../../../src/text/tokenizer/models/bpe.ts';
import { generator } from '../../mutations.ts';
import { transformersMerges } from './transformers-merges.ts';

/** Tokens of a few letters, with few different scores, so that many merges have the same rank. */
function randomTokens(seed: number): Map<string, number> {
  const below = generator(seed);
  const texts = new Set(['a', 'b', '😀', '▁']);
  while (texts.size < 120) {
    texts.add(Array.from({ length: 1 + below(6) }, () => ['a', 'b', '😀', '▁'][below(4)]).join(''));
  }
  return new Map([...texts].map((text, id) => [text, id]));
}

describe.each([
  ['of versions before 2025', false],
  ['of versions since 2025', true],
])('the order %s', (_, longestFirst) => {
  it.each([1, 2, 3, 4, 5, 6])('equals that of transformers for random tokens (seed %i)', (seed) => {
    const idOf = randomTokens(seed);
    const below = generator(seed + 100);
    const scores = Float32Array.from(idOf, () => -below(4));
    const named = new Map([...idOf].map(([text, id]) => [text, scores[id] ?? 0]));
    const wanted = transformersMerges(Object.fromEntries(idOf), named, longestFirst);
    expect(wanted.length).toBeGreaterThan(60);
    expect(finished(mergesOf({ idOf, scores }, longestFirst))).toEqual(wanted);
  });
});

it('the order decides about the ids of a run of spaces', () => {
  const runs = Array.from({ length: 12 }, (_, count) => '▁'.repeat(count + 1));
  const idOf = new Map(runs.map((text, id) => [text, id]));
  const ids = (longestFirst: boolean): readonly number[] => {
    const merges = finished(mergesOf({ idOf, scores: new Float32Array(runs.length) }, longestFirst));
    return finished(Bpe.of({ vocab: Object.fromEntries(idOf), merges })).encode('▁'.repeat(23));
  };
  expect(ids(false)).not.toEqual(ids(true));
});

it('a token that no two tokens make up has no merge, and a broken pair of surrogates is no part', () => {
  const idOf = new Map([
    ['a', 0],
    ['abc', 1],
    ['😀', 2],
    ['😀a', 3],
  ]);
  expect(finished(mergesOf({ idOf, scores: new Float32Array(4) }, false))).toEqual([['😀', 'a']]);
});

it('refuses long tokens whose parts would take minutes to find', () => {
  const idOf = new Map(Array.from({ length: 400 }, (_, id) => [String(id).padEnd(1000, 'x'), id]));
  expect(() => finished(mergesOf({ idOf, scores: new Float32Array(400) }, false))).toThrow(
    'has too many long tokens: the sum of the squared lengths in "tokenizer.ggml.tokens" is 400000000; ' +
      'allowed: at most 268435456. Put the tokenizer.json of the model beside the file',
  );
});
