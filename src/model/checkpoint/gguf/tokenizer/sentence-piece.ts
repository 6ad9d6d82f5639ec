/**
 * tokenizer.json of a SentencePiece model, from the metadata: byte-pair encoding over characters with bytes
 * as the last resort. `tokenizer.ggml.model` is `llama`, or `gemma4`, whose file lists its merges. Pure.
 */
import type { Steps } from '../../../../protocol/start/slices.ts';
import type { Fields } from '../../families/config-fields.ts';
import { quoted, shown } from '../../families/unsupported.ts';
import { readMerges } from './listed-merges.ts';
import { type Merge, mergesOf } from './score-merges.ts';
import { addedTokensOf, postProcessorOf } from './special-tokens.ts';
import { readTokens, TOKEN_TYPE, type TokenList, withTexts } from './token-list.ts';
import { KEYS, type Numbers, refuse, type TokenizerMetadata } from './tokenizer-metadata.ts';

/** The mark that SentencePiece has for a space. */
const MARK = '▁';
/** The ids of a SentencePiece model of Llama, if the file lacks the keys. */
export const LLAMA_IDS = { bos: 1, eos: 2, unknown: 0 } as const;
/** Architectures whose tokenizer.json has the merges of equal rank by length. */
const LONGEST_FIRST: ReadonlySet<string> = new Set(['gemma3', 'gemma3n']);
/** Architectures whose tokenizer.json has a tab in the place of its byte. */
const TAB_AS_TEXT: ReadonlySet<string> = new Set(['gemma', 'gemma2']);
const TAB_BYTE = '<0x09>';

const spaceAsMark: Fields = { type: 'Replace', pattern: { String: ' ' }, content: MARK };
const markAsSpace: Fields = { type: 'Replace', pattern: { String: MARK }, content: ' ' };

/** @throws UnsupportedTokenizer for broken lists, and for values that the stages cannot compute. */
export function* sentencePieceTokenizer(fields: TokenizerMetadata): Steps<Fields> {
  const isGemma4 = fields.text(KEYS.model) === 'gemma4';
  if (fields.flag(KEYS.removeExtraSpaces) === true)
    refuse(`has ${quoted(KEYS.removeExtraSpaces)} true; allowed: false`);
  const listed = yield* readTokens(fields);
  const tokens = yield* withMarks(listed, fields.text('general.architecture') ?? '');
  const { texts, idOf } = tokens;
  const hasPrefix = fields.flag(KEYS.addSpacePrefix) ?? !isGemma4;
  // Files of Gemma 4 state false, but its tokenizer.json adds the token. llama.cpp does so too.
  const addBos = isGemma4 || (fields.flag(KEYS.addBos) ?? true);
  const unknown = fields.id('unknown', texts.length) ?? (isGemma4 ? undefined : LLAMA_IDS.unknown);
  const merges = yield* isGemma4 ? readMerges(fields, idOf) : rebuiltMerges(fields, tokens);
  return {
    version: '1.0',
    added_tokens: addedTokensOf(tokens, fields),
    normalizer: hasPrefix
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: MARK }, spaceAsMark] }
      : spaceAsMark,
    pre_tokenizer: null,
    post_processor: postProcessorOf(tokens, fields, { addBos, ...(!isGemma4 && LLAMA_IDS) }),
    decoder: {
      type: 'Sequence',
      decoders: [
        markAsSpace,
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(hasPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      unk_token: (unknown === undefined ? undefined : texts[unknown]) ?? null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: idOf,
      merges,
    },
  };
}

/**
 * The texts as in tokenizer.json. A converter writes the runs of marks that a model defines as spaces; as
 * spaces they would be found in the text before it is normalized.
 */
function* withMarks(list: TokenList, architecture: string): Steps<TokenList> {
  const { texts, types, idOf } = list;
  const hasTab = !TAB_AS_TEXT.has(architecture) || idOf.has('\t');
  const restored = texts.map((text, id) => {
    if (text === TAB_BYTE && !hasTab) return '\t';
    if (types[id] !== TOKEN_TYPE.userDefined || !/^ +$/.test(text)) return text;
    const marks = MARK.repeat(text.length);
    return idOf.has(marks) ? text : marks;
  });
  yield;
  return yield* withTexts(list, restored);
}

function rebuiltMerges(fields: TokenizerMetadata, { texts, types, idOf }: TokenList): Steps<Merge[]> {
  const scores = fields.numbers(KEYS.scores, texts.length);
  if (scores === undefined) return refuse(`has no ${quoted(KEYS.scores)}`);
  return mergesOf(
    { idOf, scores: checkedScores(scores, types) },
    LONGEST_FIRST.has(fields.text('general.architecture') ?? ''),
  );
}

/** The scores of SentencePiece: 0 for special tokens, where converters write −1 000. */
function checkedScores(scores: Numbers, types: Numbers): Numbers {
  const ranked = new Float64Array(scores.length);
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? 0;
    if (!Number.isFinite(score))
      refuse(`has ${shown(score)} in ${quoted(`${KEYS.scores}[${id}]`)}; allowed: finite numbers`);
    if (isSpecial(types[id])) continue;
    ranked[id] = score;
    if (types[id] !== 1) continue;
    least = Math.min(least, score);
    most = Math.max(most, score);
  }
  if (least === most)
    refuse(`has the value ${shown(least)} for every normal token in ${quoted(KEYS.scores)}: the merges have no order`);
  return ranked;
}

function isSpecial(type: number | undefined): boolean {
  return type === TOKEN_TYPE.unknown || type === TOKEN_TYPE.control || type === TOKEN_TYPE.userDefined;
}
