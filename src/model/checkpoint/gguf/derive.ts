/** The files of a model folder, derived from a GGUF model. */
import type { Steps } from '../../../protocol/start/slices.ts';
import { UnsupportedCheckpoint } from '../families/unsupported.ts';
import { deriveConfig } from './config/derive-config.ts';
import type { DerivedFiles } from './derived-files.ts';
import type { GgufModel } from './gguf-file.ts';
import { deriveTokenizer } from './tokenizer/derive-tokenizer.ts';
import { deriveTokenFacts } from './tokenizer/token-facts.ts';
import { UnsupportedTokenizer } from './tokenizer/tokenizer-metadata.ts';

/**
 * All files of a model.
 * @param hasTokenizer true for a model with a tokenizer.json of its own: the tokenizer of the file need not
 *   be a known one
 * @throws UnsupportedCheckpoint for an architecture or a tokenizer that the worker does not compute
 */
export function* deriveFiles(model: GgufModel, hasTokenizer: boolean): Steps<DerivedFiles> {
  const config = deriveConfig(model);
  try {
    const { metadata } = model;
    const texts = yield* hasTokenizer ? deriveTokenFacts(metadata) : deriveTokenizer(metadata);
    return { ...config, ...texts };
  } catch (error) {
    if (!(error instanceof UnsupportedTokenizer)) throw error;
    throw new UnsupportedCheckpoint([{ file: config.origin.file, problem: error.message }]);
  }
}
