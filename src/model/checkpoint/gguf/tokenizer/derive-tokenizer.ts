/** tokenizer.json, tokenizer_config.json and generation_config.json of a GGUF file. Pure. */
import type { Steps } from '../../../../protocol/start/slices.ts';
import type { Fields } from '../../families/config-fields.ts';
import { quoted, shown } from '../../families/unsupported.ts';
import type { DerivedFiles } from '../derived-files.ts';
import type { Metadata } from '../gguf-file.ts';
import { byteLevelTokenizer } from './byte-level.ts';
import { sentencePieceTokenizer } from './sentence-piece.ts';
import { deriveTokenFacts } from './token-facts.ts';
import { KEYS, refuse, TokenizerMetadata } from './tokenizer-metadata.ts';

/** By `tokenizer.ggml.model`. */
const TOKENIZERS: ReadonlyMap<string, (fields: TokenizerMetadata) => Steps<Fields>> = new Map([
  ['gpt2', byteLevelTokenizer],
  ['llama', sentencePieceTokenizer],
  ['gemma4', sentencePieceTokenizer],
]);

/**
 * The files of the tokenizer. For a model with a tokenizer.json of its own, `deriveTokenFacts` gives the
 * other two.
 * @throws UnsupportedTokenizer that names the key, its value and the allowed values
 */
export function* deriveTokenizer(
  metadata: Metadata,
): Steps<Required<Pick<DerivedFiles, 'tokenizer' | 'tokenizerConfig' | 'generationConfig'>>> {
  const fields = new TokenizerMetadata(metadata);
  const model = fields.text(KEYS.model);
  const allowed = `allowed: ${[...TOKENIZERS.keys()].join(', ')}`;
  if (model === undefined) return refuse(`has no ${quoted(KEYS.model)}; ${allowed}`);
  const derive = TOKENIZERS.get(model) ?? refuse(`has ${quoted(KEYS.model)} ${shown(model)}; ${allowed}`);
  return { tokenizer: yield* derive(fields), ...(yield* deriveTokenFacts(metadata)) };
}
