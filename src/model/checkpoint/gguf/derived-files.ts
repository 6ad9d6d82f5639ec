/**
 * The configuration files of a model, derived from the metadata of its GGUF file with the names of
 * transformers, so that the readers of a model folder read them. Types only.
 */
import type { StoredMatrix } from '../../../protocol/decoder/decoder-spec.ts';
import type { Fields } from '../families/config-fields.ts';
import type { ConfigOrigin } from '../families/origin.ts';

export interface DerivedFiles {
  /** config.json. */
  readonly config: Fields;
  /** The facts of the model that config.json has no field for, and the names in messages. */
  readonly origin: ConfigOrigin;
  /** generation_config.json: all ids that end an output, and the sampling defaults. */
  readonly generationConfig: Fields;
  /** tokenizer.json. */
  readonly tokenizer: Fields;
  /** tokenizer_config.json: names of special tokens, and the chat templates. */
  readonly tokenizerConfig: Fields;
  /** The tensors by the names in a checkpoint of transformers. */
  readonly tensors: ReadonlyMap<string, StoredMatrix>;
}
