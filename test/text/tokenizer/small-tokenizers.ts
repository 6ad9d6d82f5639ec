/** Tokenizers for tests: the embedded model's, and small ones of other families in a temporary folder. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedModel } from '../../../src/model/folder.ts';
import type { TemplateFiles } from '../../../src/model/template-source.ts';
import { Tokenizer } from '../../../src/text/tokenizer/tokenizer.ts';
import type { TokenizerFiles } from '../../../src/text/tokenizer/tokenizer-files.ts';

export const haikuFiles: TokenizerFiles & TemplateFiles = {
  tokenizerFile: join(embeddedModel(), 'tokenizer.json'),
  tokenizerConfigFile: join(embeddedModel(), 'tokenizer_config.json'),
};
export const HAIKU_VOCABULARY = 1024;

/** JavaScript of the thread. Node 20 cannot run TypeScript, so `npm test` builds first. */
export const builtThread = new URL('../../../dist/text/thread/tokenizer-thread.cjs', import.meta.url);

export async function writeTokenizer(tokenizer: object): Promise<TokenizerFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  const files = { tokenizerFile: join(folder, 'tokenizer.json') };
  await writeFile(files.tokenizerFile, JSON.stringify(tokenizer));
  return files;
}

export const special = (id: number, content: string): object => ({ id, content, special: true, normalized: false });
const plain = { normalizer: null, pre_tokenizer: null, post_processor: null };

export interface Small {
  readonly tokenizer: Tokenizer;
  /** Tests use ids from 0 to this number, which is a little beyond the vocabulary. */
  readonly ids: number;
  readonly idOf: (token: string) => number;
}

export async function small(tokens: readonly string[], definition: object): Promise<Small> {
  const tokenizer = await Tokenizer.open(await writeTokenizer({ ...plain, ...definition }));
  return { tokenizer, ids: tokens.length + 3, idOf: (token) => tokens.indexOf(token) };
}

/** Llama-2 style: BPE over `▁`, bytes as `<0x41>`, first space of the joined text stripped. */
export function sentencePiece(): Promise<Small> {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const merges = ['▁ a', 'b c', '▁a bc', '▁ ▁'];
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...'▁abcdeé.,', '▁a', 'bc', '▁abc', '▁▁', '<note>', '�'];
  return small(tokens, {
    added_tokens: [
      ...[special(0, '<unk>'), special(1, '<s>'), special(2, '</s>')],
      { id: tokens.indexOf('<note>'), content: '<note>', special: false, normalized: false },
    ],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: { type: 'BPE', unk_token: '<unk>', byte_fallback: true, vocab: vocabulary(tokens), merges },
  });
}

/** T5 style: Unigram, the first token's space stripped by `Metaspace`. */
export function metaspace(): Promise<Small> {
  const tokens = ['<pad>', '</s>', '<unk>', '▁', 'a', 'b', '▁a', '▁b', '▁▁', 'é', '�'];
  return small(tokens, {
    added_tokens: [special(0, '<pad>'), special(1, '</s>'), special(2, '<unk>')],
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 2, vocab: tokens.map((text, at) => [text, -at - 1]) },
  });
}

/** BERT style: a space before every token that does not continue a word. */
export function wordPiece(): Promise<Small> {
  const tokens = ['[UNK]', '[SEP]', 'a', 'b', '##c', '##d', '.', '!'];
  return small(tokens, {
    added_tokens: [special(0, '[UNK]'), special(1, '[SEP]')],
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: vocabulary(tokens),
    },
  });
}

/**
 * Byte-level BPE: the bytes of `😀` (F0 9F 98 80), a letter, a token without text, letters joined to half
 * characters.
 */
export function halves(): Promise<Small> {
  const tokens = ['ð', 'Ł', 'ĺ', 'Ģ', 'a', '', 'ĢA', 'Ģð', 'ŁĺĢ', 'Ģa', 'âĤ', '¬', '<|end|>', '<note>'];
  return small(tokens, {
    added_tokens: [special(12, '<|end|>'), { id: 13, content: '<note>', special: false, normalized: false }],
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: vocabulary(tokens), merges: [] },
  });
}

function vocabulary(tokens: readonly string[]): Record<string, number> {
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}
