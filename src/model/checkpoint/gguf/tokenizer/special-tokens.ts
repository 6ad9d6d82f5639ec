/**
 * The special tokens of a GGUF file: the added tokens of tokenizer.json with their flags, the ids around a
 * text, and the names in tokenizer_config.json. Pure.
 */

import type { Fields } from '../../families/config-fields.ts';
import { quoted } from '../../families/unsupported.ts';
import { droppedSpace } from './dropped-space.ts';
import { TOKEN_TYPE, type TokenList } from './token-list.ts';
import { idKey, KEYS, refuse, type TokenizerMetadata } from './tokenizer-metadata.ts';

/** Names in tokenizer_config.json, with the names in the keys. */
const NAMED = {
  bos_token: 'bos',
  eos_token: 'eos',
  unk_token: 'unknown',
  sep_token: 'seperator',
  pad_token: 'padding',
  mask_token: 'mask',
} as const;
const NAMED_KEYS: Readonly<Record<string, string>> = NAMED;

/**
 * Control tokens that tokenizer.json does not mark as special, so that outputs show them. Converters mark
 * every token as control that looks like one (`<|…|>`, `<｜…｜>`, `<unused0>`). The names are those of Qwen,
 * DeepSeek and Gemma.
 */
const SHOWN =
  /^(?:<\|(?:fim_(?:prefix|middle|suffix|pad)|repo_name|file_sep)\|>|<｜(?:fim▁(?:hole|begin|end)|User|Assistant|tool▁[a-z▁]+)｜>|<unused\d+>|<mask>|<2mass>|\[@BOS@\])$/;

/**
 * The entries of `added_tokens`: unknown and control tokens are special, and user-defined tokens are
 * not. The file lacks the other flags.
 */
export function addedTokensOf({ texts, types, idOf }: TokenList, fields: TokenizerMetadata): Fields[] {
  const spaceOf = droppedSpace(fields);
  return texts.flatMap((content, id) => {
    const type = types[id];
    const isControl = type === TOKEN_TYPE.control || type === TOKEN_TYPE.unknown;
    if ((!isControl && type !== TOKEN_TYPE.userDefined) || idOf.get(content) !== id) return [];
    const special = isControl && !SHOWN.test(content);
    return [{ id, content, single_word: false, ...spaceOf(content), normalized: false, special }];
  });
}

/** The ids around a text that a tokenizer adds. */
export interface FrameRule {
  readonly addBos: boolean;
  /** Ids of a file that lacks the keys. */
  readonly bos?: number;
  readonly eos?: number;
}

/** The post-processor: the tokens at the start and at the end of a text; null if there are none. */
export function postProcessorOf({ texts }: TokenList, fields: TokenizerMetadata, rule: FrameRule): Fields | null {
  if (fields.flag(KEYS.addSep) === true) refuse(`has ${quoted(KEYS.addSep)} true; allowed: false`);
  const item = (name: 'bos' | 'eos', key: string): Frame => {
    const id = fields.id(name, texts.length) ?? rule[name];
    const text = id === undefined ? undefined : texts[id];
    if (id === undefined || text === undefined)
      return refuse(`has no ${quoted(idKey(name))}, although ${quoted(key)} is true`);
    return { item: { SpecialToken: { id: text, type_id: 0 } }, id, text };
  };
  const before = rule.addBos ? [item('bos', KEYS.addBos)] : [];
  const after = fields.flag(KEYS.addEos) === true ? [item('eos', KEYS.addEos)] : [];
  const all = [...before, ...after];
  if (all.length === 0) return null;
  const [first, second] = [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }];
  return {
    type: 'TemplateProcessing',
    single: [...before.map(({ item }) => item), first, ...after.map(({ item }) => item)],
    pair: [first, second],
    special_tokens: Object.fromEntries(all.map(({ id, text }) => [text, { id: text, ids: [id], tokens: [text] }])),
  };
}

/** A token that the post-processor adds. */
interface Frame {
  readonly item: Fields;
  readonly id: number;
  readonly text: string;
}

/** `bos_token` and the other names of tokenizer_config.json for which the file has ids. */
export function namedTokensOf(
  { texts }: TokenList,
  fields: TokenizerMetadata,
  defaults: Readonly<Record<string, number>>,
): Fields {
  return Object.fromEntries(
    Object.entries(NAMED_KEYS).flatMap(([name, key]) => {
      const id = fields.id(key, texts.length) ?? defaults[key];
      const text = id === undefined ? undefined : texts[id];
      return text === undefined ? [] : [[name, text]];
    }),
  );
}
