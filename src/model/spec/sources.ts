/** The JSON files of a model: paths in its folder, and contents that come from the metadata of a GGUF file. */
import type { DerivedFiles } from '../checkpoint/gguf/derived-files.ts';
import type { JsonSource } from './json-fields.ts';

/** Paths of files in a model's folder, and the contents of a GGUF file. */
export interface SourceFiles {
  readonly configFile?: string;
  readonly generationConfigFile?: string;
  readonly tokenizerFile?: string;
  readonly tokenizerConfigFile?: string;
  readonly derived?: DerivedFiles;
}

export interface Sources {
  readonly config: JsonSource | undefined;
  readonly generationConfig: JsonSource | undefined;
  readonly tokenizer: JsonSource | undefined;
  readonly tokenizerConfig: JsonSource | undefined;
}

/** The files that a model uses. A path takes precedence over the contents of a GGUF file. */
export function sourcesOf(files: SourceFiles): Sources {
  const { configFile, generationConfigFile, tokenizerFile, tokenizerConfigFile, derived } = files;
  const from = (fields: Readonly<Record<string, unknown>> | undefined): JsonSource | undefined =>
    derived && fields && { file: derived.origin.file, fields, fieldName: derived.origin.fieldName };
  return {
    config: configFile ?? from(derived?.config),
    generationConfig: generationConfigFile ?? from(derived?.generationConfig),
    tokenizer: tokenizerFile ?? from(derived?.tokenizer),
    tokenizerConfig: tokenizerConfigFile ?? from(derived?.tokenizerConfig),
  };
}
