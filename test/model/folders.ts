/** Model folders for tests, as small as they can be, each with what a test wants different. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 100,
  max_position_embeddings: 2048,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  hidden_size: 128,
  eos_token_id: 2,
};
export const TOKENIZER = { added_tokens: [], model: { type: 'BPE', vocab: { a: 10, '</s>': 11 }, merges: [] } };

/** Files by path from the folder: text as it is, objects as JSON, undefined not at all. */
export type Files = Readonly<Record<string, string | Uint8Array | object | undefined>>;

export async function modelFolder(files: Files = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'model-'));
  const all: Files = {
    'config.json': CONFIG,
    'tokenizer.json': TOKENIZER,
    'tokenizer_config.json': {},
    'onnx/model.onnx': 'graph',
    ...files,
  };
  for (const [name, content] of Object.entries(all)) {
    if (content === undefined) continue;
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(
      path,
      typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
    );
  }
  return folder;
}

/** What a promise is rejected with. */
export async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
}
