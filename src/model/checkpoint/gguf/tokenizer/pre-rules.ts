/**
 * The rules of byte-level tokenizers that a GGUF file names in `tokenizer.ggml.pre`: normalizer and
 * pre-tokenizer as in the tokenizer.json of the models, not as llama.cpp approximates them. A name is listed
 * if the tokenizer.json of its models is known. Pure.
 */
import type { Fields } from '../../families/config-fields.ts';

export interface PreRule {
  readonly normalizer: Fields | null;
  readonly preTokenizer: Fields;
  /** A word that is a token is that token, however its parts merge. */
  readonly ignoreMerges: boolean;
  /** Adds the token of the beginning if `tokenizer.ggml.add_bos_token` is absent, as llama.cpp does. */
  readonly addBos: boolean;
}

const NFC: Fields = { type: 'NFC' };
const BYTES: Fields = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
/** The words of GPT-2, as bytes. */
const GPT2_WORDS: Fields = { ...BYTES, use_regex: true };
const DIGITS: Fields = { type: 'Digits', individual_digits: true };

const split = (Regex: string): Fields => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const sequence = (...pretokenizers: readonly Fields[]): Fields => ({ type: 'Sequence', pretokenizers });

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
/** Words of Llama 3 and Qwen 2, with one or up to three digits. */
const words = (digits: string): Fields =>
  split(`${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`);
/** Words of GPT-4o and Tekken, by upper and lower case. */
const casedWords = (contraction: string, digits: string): Fields => {
  const [upper, lower] = ['[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]', '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'];
  const before = '[^\\r\\n\\p{L}\\p{N}]?';
  const cased = `${before}${upper}*${lower}+${contraction}|${before}${upper}+${lower}*${contraction}`;
  return split(`${cased}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`);
};
/** Words of Qwen 3.5: marks belong to the letters before them. */
const markedWords = split(
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
);
const DEEPSEEK_WORDS = [
  split('\\p{N}{1,3}'),
  split('[一-龥\u3040-ゟ゠-ヿ]+'),
  split(
    `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
  ),
];

const plain = (preTokenizer: Fields, rest: Partial<PreRule> = {}): PreRule => ({
  normalizer: null,
  preTokenizer,
  ignoreMerges: false,
  addBos: false,
  ...rest,
});
const composed = (preTokenizer: Fields): PreRule => plain(preTokenizer, { normalizer: NFC });

const gpt2 = plain(GPT2_WORDS);
const neox = composed(GPT2_WORDS);
const starcoder = plain(sequence(DIGITS, GPT2_WORDS));
const llama3Words = sequence(words('\\p{N}{1,3}'), BYTES);
const llama3 = plain(llama3Words, { ignoreMerges: true, addBos: true });
const qwen2 = composed(sequence(words('\\p{N}'), BYTES));
// Files from tiktoken have a merge for every token, so that ignored merges change no id.
const o200k = plain(sequence(casedWords(`${CONTRACTIONS}?`, '\\p{N}{1,3}'), BYTES), { ignoreMerges: true });
const falcon = plain(
  sequence(
    { type: 'Punctuation', behavior: 'Contiguous' },
    GPT2_WORDS,
    { type: 'Digits', individual_digits: false },
    split('[0-9][0-9][0-9]'),
  ),
);

/** Rules by the names that llama.cpp gives them. */
export const PRE_RULES: ReadonlyMap<string, PreRule> = new Map([
  ['gpt-2', gpt2],
  ['phi-2', gpt2],
  ['olmo', neox],
  ['mpt', neox],
  ['smollm', starcoder],
  ['starcoder', starcoder],
  ['refact', starcoder],
  ['command-r', composed(sequence(DIGITS, GPT2_WORDS))],
  ['llama-bpe', llama3],
  ['llama3', llama3],
  ['llama-v3', llama3],
  ['falcon3', llama3],
  ['pixtral', llama3],
  // Tokenizers of Llama 3 that add no token at the beginning, such as SmolLM3.
  ['smaug-bpe', { ...llama3, addBos: false }],
  ['dbrx', plain(llama3Words)],
  ['qwen2', qwen2],
  ['deepseek-r1-qwen', qwen2],
  ['qwen35', composed(sequence(markedWords, BYTES))],
  ['tekken', plain(sequence(casedWords('', '\\p{N}'), BYTES), { ignoreMerges: true, addBos: true })],
  ['gpt-4o', o200k],
  ['llama4', o200k],
  ['deepseek-v3', plain(sequence(...DEEPSEEK_WORDS, BYTES))],
  ['falcon', falcon],
]);
