/** The files of a model folder, derived from a GGUF model. */
import { deriveConfig } from './config/derive-config.ts';
import type { DerivedFiles } from './derived-files.ts';
import type { GgufModel } from './gguf-file.ts';
import { deriveTokenizer } from './tokenizer/derive-tokenizer.ts';

/** @throws UnsupportedCheckpoint for an architecture or a tokenizer that the worker does not compute */
export const deriveFiles = (model: GgufModel): DerivedFiles => ({
  ...deriveConfig(model),
  ...deriveTokenizer(model.metadata),
});
