/** Minimal model folders for tests, with the changes that each test asks for. */
import { cp, mkdir, mkdtemp, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { ModelError } from '../../src/model/problems.ts';
import { onnxBytes } from '../onnx/onnx-bytes.ts';

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
/** genai_config.json for the same model, as GenAI's model builder writes it. */
export const GENAI = {
  model: {
    type: 'llama',
    vocab_size: 100,
    context_length: 1024,
    eos_token_id: [2, 5],
    bos_token_id: 1,
    pad_token_id: 0,
    decoder: {
      filename: 'model.onnx',
      head_size: 16,
      hidden_size: 128,
      num_attention_heads: 8,
      num_hidden_layers: 2,
      num_key_value_heads: 4,
      inputs: {
        input_ids: 'input_ids',
        attention_mask: 'attention_mask',
        past_key_names: 'past_key_values.%d.key',
        past_value_names: 'past_key_values.%d.value',
      },
      outputs: {
        logits: 'logits',
        present_key_names: 'present.%d.key',
        present_value_names: 'present.%d.value',
      },
    },
  },
  search: { do_sample: false, temperature: 1, top_k: 1, top_p: 1, repetition_penalty: 1, max_length: 20 },
};
export const TOKENIZER = { added_tokens: [], model: { type: 'BPE', vocab: { a: 10, '</s>': 11 }, merges: [] } };

/**
 * Files by path from the folder: strings are contents, objects are written as JSON, undefined omits the file.
 */
export type Files = Readonly<Record<string, string | Uint8Array | object | undefined>>;

export async function modelFolder(files: Files = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'model-'));
  const all: Files = {
    'config.json': CONFIG,
    'tokenizer.json': TOKENIZER,
    'tokenizer_config.json': {},
    'onnx/model.onnx': onnxBytes(),
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

/** The same folder in the layout of the hub's cache: every file is a link to a blob. */
export async function linked(folder: string): Promise<string> {
  const cache = join(await mkdtemp(join(tmpdir(), 'cache-')), 'models--org--linked');
  const snapshot = join(cache, 'snapshots', 'c0ffee'.repeat(7).slice(0, 40));
  await cp(folder, snapshot, { recursive: true });
  await mkdir(join(cache, 'blobs'));
  const names = await readdir(snapshot, { recursive: true, withFileTypes: true });
  for (const [at, entry] of names.filter((name) => name.isFile()).entries()) {
    const path = join(entry.parentPath, entry.name);
    await rename(path, join(cache, 'blobs', `hash${at}`));
    await symlink(relative(dirname(path), join(cache, 'blobs', `hash${at}`)), path);
  }
  return snapshot;
}

/** The rejection reason of a promise. */
export async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
}

/** Folder of a GenAI export: no config.json, and the graph at the root. */
export const genaiFolder = (files: Files = {}): Promise<string> =>
  modelFolder({
    'config.json': undefined,
    'onnx/model.onnx': undefined,
    'genai_config.json': GENAI,
    'model.onnx': onnxBytes(),
    ...files,
  });

/** The problems of a refused folder, each as the error message states it. */
export async function problemsIn(folder: string, refused: Promise<unknown>): Promise<string[]> {
  const error = await reasonOf(refused);
  if (!(error instanceof ModelError)) throw new Error(`not refused: ${error}`);
  for (const { file, problem } of error.problems) if (!error.message.includes(`${file} ${problem}`)) throw error;
  if (!error.message.includes(folder)) throw error;
  return error.problems.map(({ file, problem }) => `${file} ${problem}`);
}
