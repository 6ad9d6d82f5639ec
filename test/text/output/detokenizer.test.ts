/** The detokenizer: the text of ids, piece by piece, equals the text of all ids at once. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Detokenizer } from '../../../src/text/output/detokenizer.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { sampleSize } from '../../support/sample.ts';
import {
  HAIKU_VOCABULARY,
  haikuFiles,
  halves,
  metaspace,
  type Small,
  sentencePiece,
  wordPiece,
} from '../tokenizer/small-tokenizers.ts';

let haiku: Tokenizer;
let families: Record<string, Small>;
beforeAll(async () => {
  haiku = await Tokenizer.open(haikuFiles);
  families = {
    sentencePiece: await sentencePiece(),
    metaspace: await metaspace(),
    wordPiece: await wordPiece(),
    halves: await halves(),
  };
});

/** All pieces; the flush comes last. */
function pieces(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const words = new Detokenizer(tokenizer);
  return [...ids.map((id) => words.push(id)), words.flush()];
}

const idsBelow = (most: number): fc.Arbitrary<number[]> => fc.array(fc.nat(most - 1), { maxLength: 60 });
const runs = sampleSize(1_000, 150);

describe('the text of all pieces equals one decode call', () => {
  it('for any ids of the embedded model', () => {
    fc.assert(
      fc.property(idsBelow(HAIKU_VOCABULARY + 5), (ids) => {
        expect(pieces(haiku, ids).join('')).toBe(haiku.decode(ids));
      }),
      { numRuns: runs },
    );
  });

  it('for single bytes, where most tokens are half a character', () => {
    // Ids 5…260 are the bytes; the second half of the table holds the bytes above 0x7F.
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.integer({ min: 0, max: 265 }), fc.integer({ min: 100, max: 260 }))), (ids) => {
        expect(pieces(haiku, ids).join('')).toBe(haiku.decode(ids));
      }),
      { numRuns: runs },
    );
  });

  it.each(['sentencePiece', 'metaspace', 'wordPiece', 'halves'])('for the tokenizer %s', (name) => {
    const family = families[name]!;
    fc.assert(
      fc.property(idsBelow(family.ids), (ids) => {
        expect(pieces(family.tokenizer, ids).join('')).toBe(family.tokenizer.decode(ids));
      }),
      { numRuns: runs },
    );
  });

  it('for characters that tokens without text interrupt', () => {
    const { tokenizer, idOf } = families['halves']!;
    const token = fc.oneof(fc.constant(idOf('')), fc.constantFrom('ð', 'Ł', 'ĺ', 'Ģ').map(idOf));
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (ids) => {
        expect(pieces(tokenizer, ids).join('')).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 5 * runs },
    );
  });

  it('for runs of SentencePiece byte tokens, with byte-order marks and unfinished runs', () => {
    const { tokenizer, idOf } = families['sentencePiece']!;
    const byte = (value: number): number => idOf(`<0x${value.toString(16).toUpperCase().padStart(2, '0')}>`);
    const encoder = new TextEncoder();
    const run = fc
      .oneof(
        fc
          .constantFrom('\u{FEFF}', '\u{FEFF}\u{FEFF}', '😀', 'é', '👩🏽‍🚀', ' ')
          .map((text) => [...encoder.encode(text)]),
        fc.array(fc.constantFrom(0xef, 0xbb, 0xbf, 0xf0, 0x9f, 0x98, 0x80, 0xe2, 0x82, 0xac, 0x20, 0x41, 0xff), {
          maxLength: 5,
        }),
      )
      .map((bytes) => bytes.map(byte));
    const word = fc.constantFrom('▁', '▁a', 'bc', '▁▁', '</s>', '<note>', '�').map((token) => [idOf(token)]);
    fc.assert(
      fc.property(fc.array(fc.oneof({ weight: 3, arbitrary: run }, word), { maxLength: 20 }), (parts) => {
        const ids = parts.flat();
        expect(pieces(tokenizer, ids).join('')).toBe(tokenizer.decode(ids));
      }),
      { numRuns: 3 * runs },
    );
  });

  it('for texts of any script, which round-trip', async () => {
    const grapheme = fc.constantFrom(
      'a',
      ' ',
      '\n',
      'é',
      'e\u0301',
      '日',
      'שלום',
      'مرحبا',
      '😀',
      '👨‍👩‍👧',
      '🏳️‍🌈',
      '\u200F',
      'ก็',
      '🇩🇪',
      '\u{10FFFF}',
    );
    const texts = fc.oneof(
      fc.array(grapheme, { maxLength: 30 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary' }),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const ids = await haiku.encode(text, { addSpecialTokens: true });
        expect(pieces(haiku, ids).join('')).toBe(text);
      }),
      { numRuns: runs },
    );
  });
});

describe('an output that continues a text', () => {
  /** All pieces; the flush comes last. */
  function continuing(tokenizer: Tokenizer, prompt: readonly number[], ids: readonly number[]): string[] {
    const words = new Detokenizer(tokenizer, prompt);
    return [...ids.map((id) => words.push(id)), words.flush()];
  }

  it.each([
    ['sentencePiece', ['▁', '▁a', 'bc', '▁▁', 'é', '.', '</s>', '<note>', '�']],
    ['metaspace', ['▁', 'a', '▁b', '▁▁', 'é', '</s>', '�']],
    ['wordPiece', ['a', '##c', '##d', '.', '[SEP]']],
    ['halves', ['a', '', '¬', '<|end|>', '<note>']],
  ])('is the part that decoding adds to it: %s', (name, whole) => {
    const { tokenizer, idOf, ids } = families[name]!;
    const prompts = fc.array(fc.constantFrom(...whole).map(idOf), { maxLength: 20 });
    fc.assert(
      fc.property(prompts, idsBelow(ids), (prompt, output) => {
        const text = tokenizer.decode(prompt);
        // A half character at the end is not the end of a text, and a prompt of text has none.
        fc.pre(tokenizer.decode([...prompt, ...output]).startsWith(text));
        expect(text + continuing(tokenizer, prompt, output).join('')).toBe(tokenizer.decode([...prompt, ...output]));
      }),
      { numRuns: runs },
    );
  });

  it('keeps the space of its first word, which an answer drops', () => {
    for (const name of ['sentencePiece', 'metaspace']) {
      const { tokenizer, idOf } = families[name]!;
      const [prompt, output] = [['▁a', 'b'].map(idOf), [idOf('▁a'), idOf('b')]];
      expect(continuing(tokenizer, prompt, output)).toEqual([' a', 'b', '']);
      expect(pieces(tokenizer, output)).toEqual(['a', 'b', '']);
    }
    const { tokenizer, idOf } = families['wordPiece']!;
    expect(continuing(tokenizer, [idOf('a')], [idOf('b'), idOf('##c')])).toEqual([' b', 'c', '']);
  });

  it('does not repeat a U+FFFD at the end of the text', () => {
    const { tokenizer, idOf } = families['sentencePiece']!;
    const prompt = ['▁a', '�'].map(idOf);
    for (const next of ['▁a', '</s>', '<0xF0>']) {
      const text = continuing(tokenizer, prompt, [idOf(next)]).join('');
      expect(text).toBe(tokenizer.decode([...prompt, idOf(next)]).slice('a�'.length));
    }
  });

  it('begins a text after a prompt of special tokens', () => {
    const { tokenizer, idOf } = families['sentencePiece']!;
    expect(continuing(tokenizer, [idOf('<s>')], [idOf('▁a')])).toEqual(['a', '']);
  });

  it('costs no more for a long prompt', () => {
    const { tokenizer, idOf } = families['sentencePiece']!;
    const prompt = new Array<number>(50_000).fill(idOf('▁a'));
    const longest = watch(tokenizer, (words) => words.push(idOf('▁a')), prompt);
    expect(longest).toBeLessThanOrEqual(10);
  });
});

describe('a piece', () => {
  it('has only whole characters, even of random bytes', () => {
    fc.assert(
      fc.property(idsBelow(HAIKU_VOCABULARY), (ids) => {
        for (const piece of pieces(haiku, ids)) expect(Buffer.from(piece, 'utf8').toString('utf8')).toBe(piece);
      }),
    );
  });

  it('comes with the token that completes it: three bytes of an emoji give nothing, the fourth gives the emoji', async () => {
    const ids = await haiku.encode('😀', { addSpecialTokens: false });
    expect(ids.length).toBeGreaterThan(1);
    expect(pieces(haiku, ids)).toEqual([...ids.slice(1).map(() => ''), '😀', '']);
  });

  it('comes at once for plain words, with their spaces', async () => {
    const ids = await haiku.encode('the sea, the moon', { addSpecialTokens: false });
    expect(pieces(haiku, ids)).toEqual([...ids.map((id) => haiku.decode([id])), '']);
    const { tokenizer, idOf } = families['sentencePiece']!;
    expect(pieces(tokenizer, [idOf('▁a'), idOf('bc'), idOf('▁a')])).toEqual(['a', 'bc', ' a', '']);
  });

  it('continues a character that a special token interrupts, as decoding does', async () => {
    const { tokenizer, idOf } = families['halves']!;
    const ids = [idOf('âĤ'), idOf('<|end|>'), idOf('¬'), idOf('a')];
    expect(tokenizer.decode(ids)).toBe('€a');
    expect(pieces(tokenizer, ids)).toEqual(['', '', '€', 'a', '']);
  });

  it('can contain a combining mark alone, after its base', async () => {
    const ids = await haiku.encode('e\u0301', { addSpecialTokens: false });
    expect(pieces(haiku, ids).filter((piece) => piece !== '')).toEqual(['e', '\u0301']);
  });

  it('is one U+FFFD at the end for an unfinished character', async () => {
    const ids = await haiku.encode('ok 😀', { addSpecialTokens: false });
    const words = new Detokenizer(haiku);
    const text = ids
      .slice(0, -1)
      .map((id) => words.push(id))
      .join('');
    expect([text, words.flush(), words.flush()]).toEqual(['ok ', '\u{FFFD}', '']);
  });

  it('of a run of SentencePiece bytes is final before the run ends, because invalid runs are decoded in part', () => {
    const { tokenizer, idOf } = families['sentencePiece']!;
    const ids = ['<0xC3>', '<0xA9>', '<0xFF>', '<0x41>', '▁a'].map(idOf);
    expect(tokenizer.decode(ids)).toBe('é\u{FFFD}A a');
    expect(pieces(tokenizer, ids)).toEqual(['', 'é', '', '\u{FFFD}A', ' a', '']);
  });
});

describe('the work per token', () => {
  it('does not grow with a run of invalid bytes, and their text comes one token late', () => {
    const longest = watch(haiku, (words) => {
      const given = Array.from({ length: 5_000 }, () => words.push(250));
      expect(given.slice(0, 3)).toEqual(['', '\u{FFFD}', '\u{FFFD}']);
    });
    expect(longest).toBeLessThanOrEqual(9);
  });

  it.each([
    ['sentencePiece', '▁'],
    ['sentencePiece', '</s>'],
    ['sentencePiece', '<0xF0>'],
    ['sentencePiece', '<0x20>'],
    ['metaspace', '▁'],
    ['halves', 'ð'],
    ['halves', 'Ģð'],
  ])('does not grow with a run of the same token: %s %s', (name, token) => {
    const { tokenizer, idOf } = families[name]!;
    const longest = watch(tokenizer, (words) => {
      for (let n = 0; n < 300; n += 1) words.push(idOf(token));
    });
    expect(longest).toBeLessThanOrEqual(10);
  });
});

/** Length of the longest decoded window. */
function watch(tokenizer: Tokenizer, use: (words: Detokenizer) => void, continued: readonly number[] = []): number {
  let longest = 0;
  const decoder = {
    isVisible: (id: number) => tokenizer.isVisible(id),
    decode: (ids: readonly number[]) => {
      longest = Math.max(longest, ids.length);
      return tokenizer.decode(ids);
    },
  };
  const words = new Detokenizer(decoder, continued);
  use(words);
  return longest;
}

it('takes bounded work for each of 100 000 tokens without text, and keeps the text around them', () => {
  let decoded = 0;
  const decoder = {
    decode: (ids: readonly number[]): string => {
      decoded += ids.length;
      return ids
        .map((id) => (id === 0 ? '' : ' word'))
        .join('')
        .replace(/^ /, '');
    },
    isVisible: () => true,
  };
  const words = new Detokenizer(decoder);
  const silent = (): string => Array.from({ length: 100_000 }, () => words.push(0)).join('');
  expect([words.push(1), silent(), words.push(1), silent(), words.push(1), words.flush()].join('')).toBe(
    'word word word',
  );
  expect(new Detokenizer(decoder).push(0)).toBe('');
  expect(decoded).toBeLessThan(200_000 * 500);
});
