/** tokenizer.json of a byte-level model (`tokenizer.ggml.model` is `gpt2`), from the metadata. Pure. */
import type { Steps } from '../../../../protocol/start/slices.ts';
import type { Fields } from '../../families/config-fields.ts';
import { quoted, shown } from '../../families/unsupported.ts';
import { readMerges } from './listed-merges.ts';
import { PRE_RULES, type PreRule } from './pre-rules.ts';
import { addedTokensOf, postProcessorOf } from './special-tokens.ts';
import { readTokens } from './token-list.ts';
import { KEYS, refuse, type TokenizerMetadata } from './tokenizer-metadata.ts';

/** @throws UnsupportedTokenizer for an unknown rule of splitting texts, and for broken lists. */
export function* byteLevelTokenizer(fields: TokenizerMetadata): Steps<Fields> {
  const rule = ruleOf(fields);
  const tokens = yield* readTokens(fields);
  const merges = yield* readMerges(fields, tokens.idOf);
  const addsBos = rule.addBos && fields.id('bos', tokens.texts.length) !== undefined;
  return {
    version: '1.0',
    added_tokens: addedTokensOf(tokens, fields),
    normalizer: rule.normalizer,
    pre_tokenizer: rule.preTokenizer,
    post_processor: postProcessorOf(tokens, fields, { addBos: fields.flag(KEYS.addBos) ?? addsBos }),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: rule.ignoreMerges,
      vocab: tokens.idOf,
      merges,
    },
  };
}

function ruleOf(fields: TokenizerMetadata): PreRule {
  const name = fields.text(KEYS.pre);
  const allowed = `allowed: ${[...PRE_RULES.keys()].sort().join(', ')}`;
  if (name === undefined)
    return refuse(`has no ${quoted(KEYS.pre)}, which names the rule of splitting texts; ${allowed}`);
  return PRE_RULES.get(name) ?? refuse(`has ${quoted(KEYS.pre)} ${shown(name)}; ${allowed}`);
}
