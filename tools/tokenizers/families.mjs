/**
 * Pipelines in the manner of well-known families of tokenizers. Every part that affects ids is as in the family:
 * normalizer, pattern of the pre-tokenizer, frame, decoder, flags of added tokens. Only the vocabularies are small.
 * No dependency.
 */
import { byteLevel, charsmap, sentencePiece, unigram } from './vocabularies.mjs';

const GPT2_STYLE = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const BYTES_ONLY = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const sequence = (...pretokenizers) => ({ type: 'Sequence', pretokenizers });
const isolated = (Regex) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });

const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN2 = LLAMA3.replace('{1,3}', '');
const CL100K =
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
const O200K = [
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
  '\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
].join('|');
const DEEPSEEK =
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const spaceAsMark = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
const markAsSpace = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
const decoders = (...parts) => ({ type: 'Sequence', decoders: parts });
const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
const metaspace = (prepend_scheme, split) => ({ type: 'Metaspace', replacement: '▁', prepend_scheme, split });

const special = (content, flags = {}) => ({ content, special: true, normalized: false, ...flags });
const word = (content, flags = {}) => ({ content, special: false, normalized: true, ...flags });

const template = (before, after) => ({
  type: 'TemplateProcessing',
  single: [...before.map((id) => ({ SpecialToken: { id, type_id: 0 } })), { Sequence: { id: 'A', type_id: 0 } }, ...after.map((id) => ({ SpecialToken: { id, type_id: 0 } }))],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  named: [...before, ...after],
});

const bytes = (pre_tokenizer, added, rest = {}) => ({
  model: 'byteLevel',
  normalizer: null,
  pre_tokenizer,
  post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  added,
  ...rest,
});
const pieces = (added, rest) => ({
  model: 'sentencePiece',
  options: { unk_token: '<unk>', fuse_unk: true, byte_fallback: true },
  pre_tokenizer: null,
  post_processor: template(['<s>'], []),
  decoder: decoders(markAsSpace, { type: 'ByteFallback' }, { type: 'Fuse' }, strip),
  added: [special('<unk>'), special('<s>'), special('</s>'), ...added],
  ...rest,
});
const llama2Normalizer = { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, spaceAsMark] };
const chatML = [special('<|endoftext|>'), special('<|im_start|>'), special('<|im_end|>')];

/** Families by name. `model` names a vocabulary; `options` go into the model; added tokens get their ids later. */
export const FAMILIES = {
  gpt2: bytes(GPT2_STYLE, [special('<|endoftext|>', { normalized: true })]),
  'gpt2-prefix': bytes({ ...GPT2_STYLE, add_prefix_space: true }, [special('<mask>', { lstrip: true })]),
  llama3: bytes(sequence(isolated(LLAMA3), BYTES_ONLY), [special('<|begin_of_text|>'), special('<|eot_id|>'), special('<|start_header_id|>')], {
    options: { ignore_merges: true },
    post_processor: {
      type: 'Sequence',
      processors: [{ type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true }, template(['<|begin_of_text|>'], [])],
    },
  }),
  qwen2: bytes(sequence(isolated(QWEN2), BYTES_ONLY), [...chatML, word('<tool_call>', { normalized: false })], {
    normalizer: { type: 'NFC' },
  }),
  cl100k: bytes(sequence({ type: 'Split', pattern: { Regex: CL100K }, behavior: 'Removed', invert: true }, BYTES_ONLY), chatML),
  o200k: bytes(sequence(isolated(O200K), BYTES_ONLY), chatML),
  smollm2: bytes(sequence({ type: 'Digits', individual_digits: true }, GPT2_STYLE), chatML),
  falcon: bytes(sequence({ type: 'Punctuation', behavior: 'Contiguous' }, GPT2_STYLE, { type: 'Digits', individual_digits: false }, isolated('[0-9][0-9][0-9]')), [
    word('>>QUESTION<<', { single_word: true }),
    special('<|endoftext|>'),
  ]),
  deepseek: bytes(sequence(isolated('\\p{N}{1,3}'), isolated('[一-龥\u3040-ゟ゠-ヿ]+'), isolated(DEEPSEEK), BYTES_ONLY), [
    special('<｜begin▁of▁sentence｜>'),
    word('<think>', { normalized: false }),
  ]),
  llama2: pieces([word('<note>'), word('don')], { normalizer: llama2Normalizer }),
  tinyllama: pieces([special('<|im_end|>')], { normalizer: null, pre_tokenizer: metaspace('first', false) }),
  phi3: pieces(
    [special('<|user|>', { rstrip: true }), special('<|end|>', { rstrip: true }), word('</thing>', { normalized: false, rstrip: true }), word('<both>', { lstrip: true, rstrip: true })],
    { normalizer: llama2Normalizer },
  ),
  gemma: pieces([special('<start_of_turn>'), word('\n\n\n', { normalized: false }), word('▁▁▁▁▁', { normalized: false })], {
    normalizer: spaceAsMark,
    pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
    decoder: decoders(markAsSpace, { type: 'ByteFallback' }, { type: 'Fuse' }),
  }),
  t5: {
    model: 'unigram',
    options: { unk_id: 2 },
    normalizer: { type: 'Precompiled', charsmap: true },
    pre_tokenizer: sequence({ type: 'WhitespaceSplit' }, metaspace('always', true)),
    post_processor: template([], ['</s>']),
    decoder: metaspace('always', true),
    added: [special('<pad>'), special('</s>'), special('<unk>'), special('<extra_id_0>', { lstrip: true, rstrip: true })],
  },
  unigram: {
    model: 'unigram',
    options: { unk_id: 2, byte_fallback: true },
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Nmt' }, { type: 'NFKC' }, { type: 'Lowercase' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }] },
    pre_tokenizer: metaspace('first', true),
    post_processor: template(['<pad>'], ['</s>']),
    decoder: metaspace('first', true),
    added: [special('<pad>'), special('</s>'), special('<unk>')],
  },
};

export const vocabularies = { byteLevel: byteLevel(), sentencePiece: sentencePiece(), unigram: unigram() };
export const charsmapText = charsmap();

/** The tokenizer.json of a family. */
export function tokenizerOf({ model, options = {}, added, normalizer, post_processor, ...stages }) {
  const vocabulary = vocabularies[model];
  const known = new Map(model === 'unigram' ? vocabulary.map(([token], id) => [token, id]) : Object.entries(vocabulary.vocab));
  const added_tokens = added.map((token) => {
    const id = known.get(token.content) ?? known.size;
    known.set(token.content, id);
    return { id, single_word: false, lstrip: false, rstrip: false, ...token };
  });
  const idsOf = (part) => {
    if (part?.processors) return { ...part, processors: part.processors.map(idsOf) };
    if (!part?.named) return part;
    const { named, ...rest } = part;
    return { ...rest, special_tokens: Object.fromEntries(named.map((id) => [id, { id, ids: [known.get(id)], tokens: [id] }])) };
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens,
    normalizer: normalizer?.charsmap ? { type: 'Precompiled', precompiled_charsmap: charsmapText } : normalizer,
    post_processor: idsOf(post_processor),
    ...stages,
    model:
      model === 'unigram'
        ? { type: 'Unigram', unk_id: null, byte_fallback: false, ...options, vocab: vocabulary }
        : {
            type: 'BPE',
            dropout: null,
            unk_token: null,
            continuing_subword_prefix: null,
            end_of_word_suffix: null,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            ...options,
            ...vocabulary,
          },
  };
}
