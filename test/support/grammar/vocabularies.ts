/** Small vocabularies for tests of masks. */
import { buildVocabulary, Vocabulary } from '../../../src/grammar/matching/vocabulary.ts';

const encoder = new TextEncoder();

/** Runs a preparation to its end. */
export function prepared(size: number, bytesOf: (id: number) => ArrayLike<number> | undefined): Vocabulary {
  const work = buildVocabulary(size, bytesOf);
  for (;;) {
    const { done, value } = work.next();
    if (done) return new Vocabulary(value);
  }
}

/** All single bytes, these texts, and special tokens without a text behind them. */
export function vocabularyOf(texts: readonly string[], specials = 0): Vocabulary {
  const tokens = [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    ...texts.map((text) => encoder.encode(text)),
  ];
  return prepared(tokens.length + specials, (id) => tokens[id]);
}

/** Texts as models have them in their vocabularies, with pieces of characters and of JSON. */
export const PIECES: readonly string[] = [
  ...[
    '{"',
    '"}',
    '":',
    '": "',
    '", "',
    '","',
    '":{"',
    '"]',
    '["',
    '],',
    '},',
    '}',
    '[]',
    '{}',
    ', "',
    ',"',
    ': ',
    '""',
    '"a',
    '"b":',
  ],
  ...[
    'true',
    'false',
    'null',
    'tr',
    'ue',
    'name',
    'na',
    'me',
    '"name"',
    'value',
    'a',
    'b',
    'ab',
    'abc',
    'aa',
    'items',
    'id',
    ' id',
  ],
  ...[
    '0',
    '1',
    '12',
    '123',
    '000',
    '.5',
    '-1',
    'e+',
    '\\"',
    '\\n',
    '\\u00',
    'é',
    '世界',
    '🙂',
    ' the',
    ' ',
    '  ',
    '\n',
    '\t',
    'x y',
    'é"',
    '🙂":',
  ],
];
