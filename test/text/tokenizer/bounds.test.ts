/**
 * A hostile tokenizer.json: the text that its stages make, the patterns that the event loop runs, and the
 * decoders that are refused.
 */
import { describe, expect, it } from 'vitest';
import { definitionFields } from '../../../src/text/tokenizer/definition.ts';
import { EncodeError, MAX_STAGE_UNITS } from '../../../src/text/tokenizer/encode-error.ts';
import {
  hasShortTokens,
  isKnownShape,
  MAX_LOOP_PARTS,
  MAX_LOOP_TOKEN_UNITS,
} from '../../../src/text/tokenizer/loop-shape.ts';
import { MAX_AFFIX_UNITS } from '../../../src/text/tokenizer/models/bpe.ts';
import { Pipeline } from '../../../src/text/tokenizer/pipeline.ts';
import { MAX_CHARSMAP_BYTES } from '../../../src/text/tokenizer/stages/charsmap.ts';
import {
  MAX_DECODER_PATTERN,
  MAX_DECODER_STEPS,
  MAX_TOKEN_UNITS,
} from '../../../src/text/tokenizer/stages/decoder-growth.ts';
import { MAX_ADDED_IDS } from '../../../src/text/tokenizer/stages/post-processor.ts';
import { TokenTexts } from '../../../src/text/tokenizer/token-texts.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { definitionOf, FAMILIES } from './families.ts';
import { builtThread, writeTokenizer } from './small-tokenizers.ts';

const plain = { addSpecialTokens: false } as const;
const gpt2 = definitionOf('gpt2') as Record<string, object>;
const withParts = (parts: object): object => ({ ...gpt2, ...parts });
const pipelineWith = (parts: object): Pipeline => Pipeline.of(definitionFields.parse(withParts(parts)));
const sequenceOf = (kind: string, parts: readonly object[]): object => ({ type: 'Sequence', [kind]: parts });
const replace = (from: string, content: string): object => ({ type: 'Replace', pattern: { String: from }, content });
const repeated = (times: number, part: object): object[] => Array.from({ length: times }, () => part);

/** The map of SentencePiece that replaces `a` with a text. */
function charsmapOf(text: string): string {
  const a = 0x61;
  const units = new Uint32Array(512);
  units[0] = 1 << 10; // the root: its children are at 1 XOR their byte
  units[1 ^ a] = (a | (1 << 8) | ((1 ^ a ^ 256) << 10)) >>> 0; // `a` has a value, at 256
  units[256] = 0x8000_0000; // the value: offset 0
  const head = Buffer.alloc(4);
  head.writeUInt32LE(units.byteLength);
  return Buffer.concat([head, Buffer.from(units.buffer), Buffer.from(`${text}\0`)]).toString('base64');
}

describe('the text that a stage makes is limited', () => {
  const metaspace = { type: 'Metaspace', replacement: 'x'.repeat(100_000), split: false };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  it.each<[string, object, string]>([
    [
      'normalizer Replace, twice',
      { normalizer: sequenceOf('normalizers', repeated(2, replace('a', 'a'.repeat(1_000)))) },
      'a'.repeat(200),
    ],
    [
      'normalizer Replace of nothing',
      { added_tokens: [], normalizer: sequenceOf('normalizers', repeated(8, replace('', 'abcdefg'))) },
      'a',
    ],
    [
      'normalizer Prepend',
      { added_tokens: [], normalizer: { type: 'Prepend', prepend: 'a'.repeat(MAX_STAGE_UNITS) } },
      'a',
    ],
    [
      'normalizer ByteLevel, many times',
      { normalizer: sequenceOf('normalizers', repeated(30, { type: 'ByteLevel' })) },
      'é',
    ],
    [
      'normalizer NFKD',
      { normalizer: sequenceOf('normalizers', [replace('a', 'ﷺ'.repeat(1_000)), { type: 'NFKD' }]) },
      'a'.repeat(300),
    ],
    [
      'normalizer Precompiled',
      { normalizer: { type: 'Precompiled', precompiled_charsmap: charsmapOf('b'.repeat(1_000)) } },
      'a'.repeat(5_000),
    ],
    ['pre-tokenizer Metaspace', { pre_tokenizer: metaspace }, 'a b'.repeat(100)],
    [
      'pre-tokenizer Metaspace of many pieces',
      { pre_tokenizer: sequenceOf('pretokenizers', [{ type: 'WhitespaceSplit' }, metaspace]) },
      'a '.repeat(100),
    ],
    [
      'pre-tokenizer ByteLevel, many times',
      { pre_tokenizer: sequenceOf('pretokenizers', repeated(30, byteLevel)) },
      'é',
    ],
  ])('%s', (_, parts, text) => {
    expect(() => pipelineWith(parts).encode(text, false)).toThrow(
      expect.objectContaining({ name: 'EncodeError', kind: 'too_much_text' }),
    );
  });

  it('and long texts within the limit are encoded', () => {
    const ids = pipelineWith({ normalizer: replace('a', 'b'.repeat(1_000)) }).encode('a'.repeat(1_000), false);
    expect(ids.length).toBeGreaterThan(1_000);
  });

  it('also where the file is opened: added tokens, affixes, maps, special tokens of the post-processor', () => {
    const added = { id: 0, content: 'a'.repeat(200), normalized: true };
    const normalizer = sequenceOf('normalizers', repeated(2, replace('a', 'a'.repeat(1_000))));
    expect(() => pipelineWith({ normalizer, added_tokens: [added] })).toThrow(/more than \d+ characters/);
    const suffix = 'x'.repeat(MAX_AFFIX_UNITS + 1);
    expect(() => pipelineWith({ model: { ...gpt2['model'], end_of_word_suffix: suffix } })).toThrow(
      /end_of_word_suffix/,
    );
    const precompiled_charsmap = charsmapOf('b'.repeat(MAX_CHARSMAP_BYTES + 1));
    expect(() => pipelineWith({ normalizer: { type: 'Precompiled', precompiled_charsmap } })).toThrow(/charsmap/);
  });

  it('of a post-processor: ids, and the ids of the text once', () => {
    const template = (ids: number, slots: number): object => ({
      type: 'TemplateProcessing',
      single: [
        ...repeated(slots, { Sequence: { id: 'A' } }),
        ...repeated(ids > 0 ? 1 : 0, { SpecialToken: { id: 's' } }),
      ],
      special_tokens: { s: { ids: Array.from({ length: ids }, () => 7) } },
    });
    const most = pipelineWith({ post_processor: template(MAX_ADDED_IDS - 1, 1) });
    expect(most.encode('a', true)).toHaveLength(MAX_ADDED_IDS);
    expect(() => pipelineWith({ post_processor: template(MAX_ADDED_IDS, 1) })).toThrow(/at most 1024/);
    expect(() => pipelineWith({ post_processor: template(0, 2) })).toThrow(/repeats the ids/);
    const doubling = sequenceOf('processors', repeated(40, template(1, 2)));
    expect(() => pipelineWith({ post_processor: doubling })).toThrow(/at most 1024/);
  });
});

describe('the event loop', () => {
  it('encodes with the patterns of all known families', () => {
    const known = FAMILIES.filter((name) => isKnownShape(definitionFields.parse(definitionOf(name))));
    expect(known).toEqual(FAMILIES);
  });

  it.each<[string, object]>([
    [
      'a pattern that backtracks',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: '(?:a+)+b|[\\s\\S]' }, behavior: 'Isolated' } },
    ],
    ['one in a normalizer', { normalizer: { type: 'Replace', pattern: { Regex: '(a+)+b' }, content: '' } }],
    [
      'one in nested sequences',
      {
        normalizer: sequenceOf('normalizers', [
          sequenceOf('normalizers', [{ type: 'Replace', pattern: { Regex: '(a+)+b' }, content: '' }]),
        ]),
      },
    ],
    ['too many parts', { normalizer: sequenceOf('normalizers', repeated(MAX_LOOP_PARTS, { type: 'NFC' })) }],
  ])('does not encode with %s', (_, parts) => {
    expect(isKnownShape(definitionFields.parse(withParts(parts)))).toBe(false);
  });

  it('hands a short text that becomes long to the thread', async () => {
    const files = await writeTokenizer(withParts({ normalizer: replace('a', 'b'.repeat(100)) }));
    const tokenizer = await Tokenizer.open(files, { threadEntry: builtThread });
    const ids = await tokenizer.encode('a'.repeat(1_000), plain);
    // Six times the limit of the event loop, and a fraction of the deadline of the thread.
    expect(tokenizer.decode(ids)).toBe('b'.repeat(100_000));
    await tokenizer.close();
  });
});

describe('many sections and long tokens', () => {
  const added = (content: string, normalized: boolean): object => ({ id: 5, content, special: false, normalized });

  it('have one limit for the text of all sections together', () => {
    const pipeline = pipelineWith({
      added_tokens: [added('Z', false)],
      normalizer: replace('Q', '☃'.repeat(1_000)),
      pre_tokenizer: null,
    });
    const limits = { units: 20_000, tokens: Number.POSITIVE_INFINITY };
    expect(() => pipeline.encode('QZ'.repeat(5), false, limits)).not.toThrow();
    expect(() => pipeline.encode('QZ'.repeat(50), false, limits)).toThrow(EncodeError);
  });

  it('refuse an added token that the normalizer makes too long', () => {
    const parts = { added_tokens: [added('QQ', true)], normalizer: replace('Q', '☃'.repeat(16_384)) };
    expect(() => pipelineWith(parts)).toThrow(/characters of an added token.*use another model/);
  });

  it.each([
    ['an added token', { added_tokens: [added('a'.repeat(MAX_LOOP_TOKEN_UNITS + 1), false)] }],
    [
      'a piece of a Unigram model',
      {
        added_tokens: [],
        model: {
          type: 'Unigram',
          unk_id: 0,
          vocab: [
            ['a', -1],
            ['a'.repeat(MAX_LOOP_TOKEN_UNITS + 1), -1],
          ],
        },
      },
    ],
  ])('leave the event loop for %s', (_, parts) => {
    expect(hasShortTokens(pipelineWith(parts))).toBe(false);
  });

  it.each<[string, object]>([
    ['a long literal pattern', { normalizer: replace('a'.repeat(65), '') }],
    ['a long affix', { model: { ...gpt2['model'], continuing_subword_prefix: '☃'.repeat(9) } }],
    ['long words of WordPiece', { model: { type: 'WordPiece', vocab: {}, max_input_chars_per_word: 101 } }],
  ])('leave the event loop for %s too', (_, parts) => {
    expect(isKnownShape(definitionFields.parse(withParts(parts)))).toBe(false);
  });

  it.each(FAMILIES)('but not for a tokenizer in the style of %s', (name) => {
    const definition = definitionFields.parse(definitionOf(name));
    expect([isKnownShape(definition), hasShortTokens(Pipeline.of(definition))]).toEqual([true, true]);
  });
});

describe('a decoder that could take long is refused, with a way out', () => {
  const refusalOf = (decoder: unknown, tokens: readonly string[] = ['a']): string => {
    const model = { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges: [] };
    const definition = definitionFields.parse({ ...gpt2, added_tokens: [], pre_tokenizer: null, model, decoder });
    try {
      new TokenTexts(definition, Pipeline.of(definition).model.vocabulary);
      return '';
    } catch (error) {
      return String(error);
    }
  };
  const byRegex = (Regex: string): object => ({ type: 'Replace', pattern: { Regex }, content: ' ' });

  it.each<[string, unknown]>([
    ['Replace', replace('a', 'x'.repeat(3_000_000))],
    ['Replace, many times', sequenceOf('decoders', repeated(20, replace('a', 'aa')))],
    ['Replace of nothing', sequenceOf('decoders', repeated(4, replace('', 'abcdefgh')))],
    [
      'Metaspace and BPEDecoder of nothing',
      sequenceOf('decoders', [
        ...repeated(7, { type: 'Metaspace', replacement: '' }),
        ...repeated(7, { type: 'BPEDecoder', suffix: '' }),
      ]),
    ],
    ['a long pattern', replace('a'.repeat(MAX_DECODER_PATTERN + 1), ' ')],
    ['many steps', sequenceOf('decoders', repeated(MAX_DECODER_STEPS + 1, { type: 'Fuse' }))],
    ['many steps, nested', sequenceOf('decoders', repeated(9, sequenceOf('decoders', repeated(9, { type: 'Fuse' }))))],
  ])('%s', (_, decoder) => {
    expect(refusalOf(decoder)).toMatch(/^Error: decoder .*at most \d+ are allowed: use another model$/);
  });

  it('patterns and tokens whose product is too large', () => {
    const tokens = ['a'.repeat(1_000)];
    const step = { type: 'Replace', pattern: { Regex: 'b*' }, content: '' };
    expect(refusalOf(sequenceOf('decoders', repeated(2, step)), tokens)).toBe('');
    expect(refusalOf(sequenceOf('decoders', repeated(8, step)), tokens)).toMatch(/product may be at most/);
  });

  it('a token that is too long', () => {
    expect(refusalOf(null, ['a'.repeat(MAX_TOKEN_UNITS)])).toBe('');
    expect(refusalOf(null, ['a'.repeat(MAX_TOKEN_UNITS + 1)])).toMatch(/a token of 1025 characters/);
  });

  it.each(['(a+)+b', '(?:a|a)(?:a|a)b', 'a+b', 'a*a*', '(a)\\1', 'a{1,99}b', '(?=a)', 'a|b'])(
    'the pattern %s',
    (pattern) => {
      expect(refusalOf(byRegex(pattern))).toMatch(/Regex .* may take too long/);
    },
  );

  it.each(['▁', '▁+', ' $', '^ ', '[a-z\\]]', '\\p{Z}+', '\\s?', 'a.b'])('but not the pattern %s', (pattern) => {
    expect(refusalOf(byRegex(pattern))).toBe('');
  });

  it.each(FAMILIES)('and not that of a tokenizer in the style of %s', (name) => {
    const definition = definitionFields.parse(definitionOf(name));
    expect(() => new TokenTexts(definition, Pipeline.of(definition).model.vocabulary)).not.toThrow();
  });
});

describe('a text with more tokens than the caller can use', () => {
  it('is counted up to twice that number', () => {
    const pipeline = pipelineWith({});
    const limits = { units: MAX_STAGE_UNITS, tokens: 100 };
    const exact = pipeline.encode('word. '.repeat(40), false, limits).length;
    expect(exact).toBeGreaterThan(100);
    expect(() => pipeline.encode('word. '.repeat(100), false, limits)).toThrow(
      expect.objectContaining({ kind: 'too_long', leastTokens: expect.any(Number) }),
    );
  });
});
