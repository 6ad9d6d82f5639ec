/** The grammars that the engine keeps. */
import { expect, it } from 'vitest';
import { Grammars } from '../../../src/engine/sampling/grammars.ts';
import { Sequence } from '../../../src/engine/sequence.ts';
import { HAIKU_VOCABULARY } from '../../text/tokenizer/small-tokenizers.ts';
import { haikuVocabulary, literal } from '../grammars.ts';
import { request } from '../harness.ts';

function grammars(count: number, bytes = Number.POSITIVE_INFINITY): Grammars {
  const kept = new Grammars({ count, bytes });
  kept.setVocabulary(haikuVocabulary);
  return kept;
}

it('need a vocabulary', () => {
  const kept = new Grammars();
  expect(() => kept.start(literal('a'), { maxTokens: 4, idLimit: HAIKU_VOCABULARY })).toThrow('before the vocabulary');
  kept.setVocabulary(haikuVocabulary);
  expect(kept.start(literal('a'), { maxTokens: 4, idLimit: HAIKU_VOCABULARY }).accepts).toBe(false);
});

it('are kept once for each key, the least recently used is dropped first', () => {
  const kept = grammars(2);
  for (const text of ['a', 'b', 'a', 'c'])
    kept.start(literal(text), { maxTokens: 4, idLimit: HAIKU_VOCABULARY }).release();
  expect(kept.keys).toEqual([literal('a').key, literal('c').key]);
});

it('are kept while a sequence uses them, also beyond the limits', () => {
  for (const kept of [grammars(1), grammars(100, 0)]) {
    const used = ['a', 'b', 'c'].map((text) => kept.start(literal(text), { maxTokens: 4, idLimit: HAIKU_VOCABULARY }));
    expect(kept.keys).toHaveLength(3);
    used[1]?.release();
    expect(kept.keys).toEqual([literal('a').key, literal('c').key]);
    used[0]?.release();
    used[2]?.release();
    expect(kept.keys.length).toBeLessThanOrEqual(1);
  }
});

it('count with the memory of their programs', () => {
  const large = literal('long text '.repeat(100_000));
  const bytes = 4 * large.program.length;
  const kept = grammars(100, bytes);
  kept.start(literal('a'), { maxTokens: 4, idLimit: HAIKU_VOCABULARY }).release();
  expect(kept.keys).toEqual([literal('a').key]);
  kept.start(large, { maxTokens: 4, idLimit: HAIKU_VOCABULARY }).release();
  expect(kept.keys).toEqual([]);
});

it('are released when their sequence ends, however it ends', () => {
  const kept = grammars(0);
  const ends: ((sequence: Sequence) => void)[] = [
    (sequence) => sequence.end('cancelled', 0),
    (sequence) => sequence.fail('failed', 'broken', 0),
    (sequence) => {
      sequence.end('eos', 0);
      sequence.end('cancelled', 0);
    },
  ];
  for (const end of ends) {
    const grammar = literal('a');
    const asked = request({ grammar });
    const other = kept.start(grammar, { maxTokens: 4, idLimit: HAIKU_VOCABULARY });
    const sequence = new Sequence(
      asked,
      0,
      kept.start(grammar, { maxTokens: asked.maxTokens, idLimit: HAIKU_VOCABULARY }),
    );
    end(sequence);
    expect(kept.keys).toEqual([grammar.key]);
    other.release();
    expect(kept.keys).toEqual([]);
  }
});
