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
  /**
   * Adds the token of the beginning if the file names one and lacks `tokenizer.ggml.add_bos_token`, as
   * llama.cpp does.
   */
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
/** The cased letters of Unicode 11, as a list in the files of DeepSeek LLM. */
const CASED_LETTERS = [
  'A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373',
  '\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481',
  '\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b',
  '\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b',
  '\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb',
  '\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128',
  '\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4',
  '\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf',
  '\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\u{10400}-\u{1044f}\u{104b0}-\u{104d3}',
  '\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}',
].join('');
const HAN_AND_HANGUL = '[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+';

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
const o200k = plain(sequence(casedWords(`${CONTRACTIONS}?`, '\\p{N}{1,3}'), BYTES));
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
  // The converter of transformers for files of tiktoken sets the flag. In o200k it changes no id.
  ['llama4', { ...o200k, ignoreMerges: true }],
  [
    'deepseek-llm',
    plain(
      sequence(
        split('[\r\n]'),
        split(`\\s?[${CASED_LETTERS}]+`),
        split('\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+'),
        split('\\s+$'),
        split(HAN_AND_HANGUL),
        DIGITS,
        BYTES,
      ),
    ),
  ],
  [
    'deepseek-coder',
    plain(sequence(split('[\r\n]'), split('\\s?\\p{L}+'), split('\\s?\\p{P}+'), split(HAN_AND_HANGUL), DIGITS, BYTES)),
  ],
  ['deepseek-v3', plain(sequence(...DEEPSEEK_WORDS, BYTES))],
  ['falcon', falcon],
]);
