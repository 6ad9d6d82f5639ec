/** The files of a model folder, derived from a GGUF model. */
import type { DerivedFiles } from './derived-files.ts';
import type { GgufModel } from './gguf-file.ts';
import { deriveConfig, deriveTokenizer } from './stand-in.ts';

/** @throws UnsupportedCheckpoint for an architecture or a tokenizer that the worker does not compute */
export const deriveFiles = (model: GgufModel): DerivedFiles => ({
  ...deriveConfig(model),
  ...deriveTokenizer(model.metadata),
});
