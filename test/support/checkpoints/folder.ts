/**
 * Writes the folder of a random checkpoint as the hub has it: config.json, safetensors files and their index, and
 * the tokenizer of test/models, whose ids are bytes.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CheckpointModel } from './models.ts';
import { type Tensor, tensorsOf } from './tensors.ts';

const TOKENIZER = fileURLToPath(new URL('../../models/hub/tokenizer.json', import.meta.url));

/** The bytes of a safetensors file: the length of the header, the header, the tensors without gaps. */
function safetensorsOf(tensors: readonly Tensor[]): Uint8Array {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape, data }) => {
    const begin = end;
    end += data.length;
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const header = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }));
  // The header ends at a multiple of 8 bytes.
  const padding = Buffer.alloc(-header.length & 7, ' ');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length + padding.length));
  return Buffer.concat([length, header, padding, ...tensors.map(({ data }) => data)]);
}

function writeWeights(folder: string, model: CheckpointModel): void {
  const tensors = tensorsOf(model);
  const { shards = 1 } = model;
  if (shards === 1) {
    writeFileSync(join(folder, 'model.safetensors'), safetensorsOf(tensors));
    return;
  }
  const perShard = Math.ceil(tensors.length / shards);
  const places: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const part = tensors.slice(shard * perShard, (shard + 1) * perShard);
    const number = (value: number): string => String(value).padStart(5, '0');
    const file = `model-${number(shard + 1)}-of-${number(shards)}.safetensors`;
    for (const { name } of part) places[name] = file;
    writeFileSync(join(folder, file), safetensorsOf(part));
  }
  const bytes = tensors.reduce((sum, { data }) => sum + data.length, 0);
  writeJson(folder, 'model.safetensors.index.json', { metadata: { total_size: bytes }, weight_map: places });
}

const writeJson = (folder: string, name: string, content: unknown): void =>
  writeFileSync(join(folder, name), `${JSON.stringify(content, null, 1)}\n`);

/** Makes the folder and all files in it. A prompt of n bytes is n tokens. */
export function writeCheckpoint(folder: string, model: CheckpointModel): void {
  mkdirSync(folder, { recursive: true });
  const { config } = model;
  writeJson(folder, 'config.json', config);
  writeJson(folder, 'generation_config.json', {
    bos_token_id: config.bos_token_id,
    eos_token_id: [config.eos_token_id],
    do_sample: false,
  });
  copyFileSync(TOKENIZER, join(folder, 'tokenizer.json'));
  writeJson(folder, 'tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    bos_token: '<s>',
    eos_token: '</s>',
    model_max_length: config.max_position_embeddings,
  });
  writeWeights(folder, model);
}
