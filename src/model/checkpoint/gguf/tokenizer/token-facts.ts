/**
 * The tokenizer_config.json and the generation_config.json of a GGUF file: names of special tokens, chat
 * templates, ids that end an output, sampling defaults. They do not need the rules of the tokenizer. Pure.
 */
import type { Steps } from '../../../../protocol/start/slices.ts';
import type { Fields } from '../../families/config-fields.ts';
import type { DerivedFiles } from '../derived-files.ts';
import type { Metadata } from '../gguf-file.ts';
import { endIds } from './end-ids.ts';
import { LLAMA_IDS } from './sentence-piece.ts';
import { namedTokensOf } from './special-tokens.ts';
import { listedTokens } from './token-list.ts';
import { KEYS, TokenizerMetadata } from './tokenizer-metadata.ts';

const TEMPLATE = 'tokenizer.chat_template';
/** Names of the templates besides the default one; each has the key `tokenizer.chat_template.<name>`. */
const TEMPLATES = 'tokenizer.chat_templates';
/** Most names; a model has up to three templates. */
const MAX_NAMES = 64;

/** Fields of generation_config.json, with the keys of the sampling defaults. */
const SAMPLING = {
  temperature: 'general.sampling.temp',
  top_k: 'general.sampling.top_k',
  top_p: 'general.sampling.top_p',
  min_p: 'general.sampling.min_p',
  repetition_penalty: 'general.sampling.penalty_repeat',
} as const;

/**
 * Both files, also for a tokenizer that `deriveTokenizer` does not support. Without tokens in the file, only
 * its flags and templates.
 * @throws UnsupportedTokenizer for a value of another type or out of range
 */
export function* deriveTokenFacts(
  metadata: Metadata,
): Steps<Pick<DerivedFiles, 'tokenizerConfig' | 'generationConfig'>> {
  const fields = new TokenizerMetadata(metadata);
  const tokens = yield* listedTokens(fields);
  const hasTokens = tokens.texts.length > 0;
  const defaults = fields.text(KEYS.model) === 'llama' ? LLAMA_IDS : {};
  const addBos = fields.flag(KEYS.addBos);
  const addEos = fields.flag(KEYS.addEos);
  const template = chatTemplateOf(fields);
  const ends = hasTokens ? endIds(tokens, fields, defaults) : [];
  return {
    tokenizerConfig: {
      ...(hasTokens && namedTokensOf(tokens, fields, defaults)),
      ...(addBos !== undefined && { add_bos_token: addBos }),
      ...(addEos !== undefined && { add_eos_token: addEos }),
      ...(template !== undefined && { chat_template: template }),
    },
    generationConfig: { ...(ends.length > 0 && { eos_token_id: ends }), ...samplingOf(fields) },
  };
}

/** The template, or a list of templates by their names. */
function chatTemplateOf(fields: TokenizerMetadata): string | readonly Fields[] | undefined {
  const template = fields.text(TEMPLATE);
  const others = (fields.texts(TEMPLATES, MAX_NAMES) ?? []).flatMap((name) => {
    const text = fields.text(`${TEMPLATE}.${name}`);
    return text === undefined ? [] : [{ name, template: text }];
  });
  if (others.length === 0) return template;
  return template === undefined ? others : [{ name: 'default', template }, ...others];
}

function samplingOf(fields: TokenizerMetadata): Fields {
  const given = Object.entries(SAMPLING).flatMap(([name, key]) => {
    const value = fields.number(key);
    return value === undefined ? [] : [[name, shortest(value)] as const];
  });
  return given.length === 0 ? {} : { do_sample: true, ...Object.fromEntries(given) };
}

/** The number with the fewest digits that is the same float32: 0.7 for 0.699999988079071. */
function shortest(value: number): number {
  if (!Number.isFinite(value) || Math.fround(value) !== value) return value;
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}
