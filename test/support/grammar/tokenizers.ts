/**
 * Small tokenizers that can write JSON, in the three usual families, with tokens that are easy to get wrong.
 * Each token has its bytes by the rules of its family, and not by the code under test.
 */

import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import { HAIKU_VOCABULARY, haikuFiles, type Small, small, special } from '../../text/tokenizer/small-tokenizers.ts';
import { PIECES } from './vocabularies.ts';

export interface Family extends Small {
  /** The bytes that an id adds to a text; undefined for special tokens and ids without a text. */
  readonly bytesOf: (id: number) => Uint8Array | undefined;
}

/** A token: as the file has it, and the bytes or the text that it means; undefined for none. */
type Meaning = readonly [spelled: string, meant: string | Uint8Array | undefined];

const encoder = new TextEncoder();
const plain = (id: number, content: string): object => ({ id, content, special: false, normalized: false });
/** Half characters, and ends of characters together with marks of JSON. */
const HALVES = ['f09f', '9982', 'e4b8', '969d', '96', '9622', '8222', '22c3', 'a922', '2cf0', 'c3', 'ff', 'c0af'];

function family(made: Small, tokens: readonly Meaning[]): Family {
  const meant = tokens.map(([, meaning]) => (typeof meaning === 'string' ? encoder.encode(meaning) : meaning));
  return { ...made, bytesOf: (id) => (meant[id]?.length ? meant[id] : undefined) };
}

/** The file of a vocabulary, and the flags of its last tokens. */
function parts(tokens: readonly Meaning[], specials: readonly string[], added: readonly string[]) {
  const spelled = tokens.map(([token]) => token);
  const idOf = (token: string): number => spelled.indexOf(token);
  return {
    spelled,
    vocab: Object.fromEntries(spelled.map((token, id) => [token, id])),
    added_tokens: [
      ...specials.map((token) => special(idOf(token), token)),
      ...added.map((token) => plain(idOf(token), token)),
    ],
  };
}

/** GPT-2's printable character of each byte: printable Latin-1 is itself, the others count from U+0100. */
const ALPHABET: readonly string[] = (() => {
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : 0x100 + others++);
  });
})();

/** Bytes as a byte-level vocabulary has them. */
export const inAlphabet = (bytes: Uint8Array): string => Array.from(bytes, (byte) => ALPHABET[byte]).join('');

/**
 * Byte-level BPE, as of GPT-2. Its added tokens are texts of their own if a character is outside of the
 * alphabet, and bytes otherwise, as in the Rust library.
 */
export async function byteLevel(): Promise<Family> {
  const texts = [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    ...HALVES.map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
    ...PIECES.map((text) => encoder.encode(text)),
  ];
  const unique = new Map(texts.map((bytes): [string, Uint8Array] => [inAlphabet(bytes), bytes]));
  // Their names are texts that JSON could have.
  const specials = ['<|end|>', '[[]]', 'nullnull'];
  const added: Meaning[] = [
    ['<note>', '<note>'],
    ['name value', 'name value'],
    // The same text as a token of the vocabulary.
    ['世', '世'],
    ['界', '界'],
    ['界界', '界界'],
    ['": ', '": '],
    // Two bytes, which are no text.
    ['é"é', Uint8Array.of(0xe9, 0x22, 0xe9)],
  ];
  const tokens: Meaning[] = [
    ...unique,
    ['', undefined],
    ...specials.map((token): Meaning => [token, undefined]),
    ...added,
  ];
  const { spelled, vocab, added_tokens } = parts(
    tokens,
    specials,
    added.map(([token]) => token),
  );
  const made = await small(spelled, {
    added_tokens,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: [] },
  });
  return family(made, tokens);
}

/** The texts of a SentencePiece vocabulary: characters and pieces, with the space mark for spaces. */
function marked(texts: readonly string[]): Meaning[] {
  return [...new Map(texts.map((text): [string, string] => [text.replaceAll(' ', '▁'), text]))];
}

/**
 * SentencePiece BPE with byte fallback.
 * @param strips as of Llama 2, which drops the first space of a text; otherwise as of Gemma
 */
export async function byteFallback(strips: boolean): Promise<Family> {
  const specials = ['<unk>', '<s>', '</s>', '[[]]', '▁▁▁'];
  const tokens: Meaning[] = [
    ...specials.map((token): Meaning => [token, undefined]),
    ...Array.from({ length: 256 }, (_, byte): Meaning => {
      return [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, Uint8Array.of(byte)];
    }),
    // A digit of a small letter, and a token that only looks like a byte.
    ['<0x7b>', '{'],
    ['<0x7B>>', '<0x7B>>'],
    // Characters that are bytes also.
    ...marked([...'{}[]":,abx019-.\\tru e世é', ...PIECES]),
    ['�', '�'],
    ['▁{"', ' {"'],
    // Added tokens, one with a space and one with the mark, which decoding replaces as well.
    ['<note>', '<note>'],
    ['name value', 'name value'],
    ['na▁me', 'na me'],
  ];
  const { spelled, vocab, added_tokens } = parts(tokens, specials, ['<note>', 'name value', 'na▁me']);
  const decoders = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(strips ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ];
  const made = await small(spelled, {
    added_tokens,
    decoder: { type: 'Sequence', decoders },
    model: { type: 'BPE', unk_token: '<unk>', byte_fallback: true, vocab, merges: [] },
  });
  return family(made, tokens);
}

/** SentencePiece Unigram without bytes, as of T5: it has all ASCII characters and a few others. */
export async function unigram(): Promise<Family> {
  const specials = ['<pad>', '</s>', '<unk>', '[[]]'];
  const ascii = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at));
  const tokens: Meaning[] = [
    ...specials.map((token): Meaning => [token, undefined]),
    ...marked([...ascii, 'é', '世', '界', '🙂', ...PIECES]),
    ['▁{"', ' {"'],
    ['name value', 'name value'],
  ];
  const { spelled, added_tokens } = parts(tokens, specials, ['name value']);
  const made = await small(spelled, {
    added_tokens,
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 2, vocab: spelled.map((text, at) => [text, -at - 1]) },
  });
  return family(made, tokens);
}

/** The tokenizer of the embedded model: byte-level, of a real file. */
export async function haiku(): Promise<Family> {
  const tokenizer = await Tokenizer.open(haikuFiles);
  const byteOf = new Map(ALPHABET.map((char, byte) => [char, byte]));
  const ids = HAIKU_VOCABULARY + 3;
  const idOf = (token: string): number => Array.from({ length: ids }, (_, id) => tokenizer.tokenOf(id)).indexOf(token);
  const bytesOf = (id: number): Uint8Array | undefined => {
    const token = tokenizer.tokenOf(id);
    if (token === undefined || tokenizer.specialTokens.has(id)) return undefined;
    return Uint8Array.from([...token].map((char) => byteOf.get(char) ?? 0));
  };
  return { tokenizer, ids, idOf, bytesOf };
}
