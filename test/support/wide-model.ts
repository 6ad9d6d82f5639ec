/**
 * The embedded model with a configuration for a longer context. Its attention computes the first 512 tokens
 * only; plans, limits and slots follow the configuration.
 */
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { embeddedModel } from '../../src/model/folder.ts';

/** Bytes of the cache for a token of the embedded model. */
export const TOKEN_BYTES = 2048;

/** Makes the model in this folder, which must not exist. @param context its tokens */
export async function makeWideModel(folder: string, context: number): Promise<void> {
  await cp(embeddedModel(), folder, { recursive: true });
  for (const [name, field] of [
    ['config.json', 'max_position_embeddings'],
    ['tokenizer_config.json', 'model_max_length'],
  ] as const) {
    const json = JSON.parse(await readFile(join(folder, name), 'utf8')) as object;
    await writeFile(join(folder, name), JSON.stringify({ ...json, [field]: context }));
  }
}
