/**
 * The size of the KV cache that a model needs, from its configuration alone: an estimate without the graph.
 * The engine plans with the shapes of the graph.
 */
import type { ModelFiles } from '../locate.ts';
import { modelConfig, preparationFor } from '../spec.ts';
import { readGenai } from './genai.ts';
import { readFields } from './json-fields.ts';
import { sourcesOf } from './sources.ts';

export interface CacheShape {
  /** Numbers in the cache for one token: keys and values of all layers. */
  readonly perToken: number;
  /** Tokens of prompt and output together. */
  readonly context: number;
}

/** The shape; undefined if the configuration does not state it, such as for models without attention. */
export async function readCacheShape(
  files: Pick<ModelFiles, 'choices' | 'configFile' | 'genaiConfigFile' | 'derived'>,
): Promise<CacheShape | undefined> {
  const { genaiConfigFile } = files;
  const config = await readFields(sourcesOf(files).config, modelConfig(false), [], { prepare: preparationFor(files) });
  const genai = await readGenai(genaiConfigFile, false, []);
  const decoder = genai?.model.decoder;
  const context = genai?.model.context_length ?? config?.max_position_embeddings;
  const layers = decoder?.num_hidden_layers ?? config?.num_hidden_layers;
  const heads = decoder?.num_attention_heads ?? config?.num_attention_heads;
  const cachedHeads = decoder?.num_key_value_heads ?? config?.num_key_value_heads ?? heads;
  const width = config?.hidden_size;
  const headSize = decoder?.head_size ?? config?.head_dim ?? (width && heads ? width / heads : undefined);
  if (!context || !layers || !cachedHeads || !headSize) return undefined;
  return { perToken: 2 * layers * cachedHeads * headSize, context };
}
