/** The tokens of a GGUF file: texts, types and ids, checked. Pure. */
import type { Steps } from '../../../../protocol/start/slices.ts';
import { quoted, shown } from '../../families/unsupported.ts';
import { KEYS, type Numbers, refuse, type TokenizerMetadata } from './tokenizer-metadata.ts';

/** The values of `tokenizer.ggml.token_type`. */
export const TOKEN_TYPE = { unknown: 2, control: 3, userDefined: 4, unused: 5 } as const;
/** Undefined, normal, and byte are the others. */
const MOST_TYPE = 6;

/** Most tokens; the largest known vocabulary has 262 144. */
const MAX_TOKENS = 2 ** 20;
/** UTF-16 units of the longest token, as for every tokenizer (`decoder-growth.ts`). */
const MAX_TOKEN_UNITS = 1_024;
/** Tokens between two turns of the event loop. */
const STEP_TOKENS = 4096;

export interface TokenList {
  /** By id. */
  readonly texts: readonly string[];
  readonly types: Numbers;
  /** Without the tokens that fill the vocabulary up, and without empty ones. */
  readonly idOf: ReadonlyMap<string, number>;
}

/** @throws UnsupportedTokenizer if a list is absent, or a token is too long or occurs twice. */
export function* readTokens(fields: TokenizerMetadata): Steps<TokenList> {
  const texts = fields.texts(KEYS.tokens, MAX_TOKENS);
  if (texts === undefined || texts.length === 0) refuse(`has no ${quoted(KEYS.tokens)}`);
  const types = fields.numbers(KEYS.types, texts.length);
  if (types === undefined) refuse(`has no ${quoted(KEYS.types)}, which tells special tokens from others`);
  for (const [id, text] of texts.entries()) {
    const type = types[id] ?? 0;
    if (!Number.isInteger(type) || type < 0 || type > MOST_TYPE)
      refuse(`has ${shown(type)} in ${quoted(`${KEYS.types}[${id}]`)}; allowed: integers from 0 to ${MOST_TYPE}`);
    if (text.length > MAX_TOKEN_UNITS)
      refuse(
        `has ${text.length} characters in ${quoted(`${KEYS.tokens}[${id}]`)}; allowed: at most ${MAX_TOKEN_UNITS}`,
      );
    if (id % STEP_TOKENS === 0) yield;
  }
  return { texts, types, idOf: yield* idsOf(texts, types) };
}

/**
 * The listed tokens, for a model whose tokenizer is in another file: no type is needed, and the first of two
 * equal tokens counts.
 */
export function* listedTokens(fields: TokenizerMetadata): Steps<TokenList> {
  const texts = fields.texts(KEYS.tokens, MAX_TOKENS) ?? [];
  const types = fields.numbers(KEYS.types, texts.length) ?? new Uint8Array(texts.length);
  const idOf = new Map<string, number>();
  for (const [id, text] of texts.entries()) {
    if (text !== '' && !idOf.has(text)) idOf.set(text, id);
    if (id % STEP_TOKENS === 0) yield;
  }
  return { texts, types, idOf };
}

/** The list with other texts. */
export function* withTexts(list: TokenList, texts: readonly string[]): Steps<TokenList> {
  return { texts, types: list.types, idOf: yield* idsOf(texts, list.types) };
}

function* idsOf(texts: readonly string[], types: Numbers): Steps<ReadonlyMap<string, number>> {
  const idOf = new Map<string, number>();
  for (const [id, text] of texts.entries()) {
    if (id % STEP_TOKENS === 0) yield;
    if (text === '' || isFiller(text, id, types)) continue;
    const other = idOf.get(text);
    if (other !== undefined)
      refuse(`has the token ${shown(text)} twice in ${quoted(KEYS.tokens)}, with the ids ${other} and ${id}`);
    idOf.set(text, id);
  }
  return idOf;
}

/** True for a token that a converter makes up, because the matrix of embeddings has more rows. */
function isFiller(text: string, id: number, types: Numbers): boolean {
  return types[id] === TOKEN_TYPE.unused && text === `[PAD${id}]`;
}
