/** A small Llama as a GGUF file for tests: zeros as weights, and byte-level BPE with one merge. */
import type { TestGguf, TestTensor, TestValue } from './gguf-bytes.ts';
import { typed } from './gguf-bytes.ts';

const [HIDDEN, KV, MIDDLE, LAYERS] = [64, 32, 128, 2];

/** The characters of GPT-2 for the bytes 0 to 255. */
export function byteCharacters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isShown = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(isShown ? byte : next++);
  });
}

/** Ids: 0 to 255 are bytes, 256 is `th`, 257 is `<|begin|>`, 258 is `<|end|>`. */
export const TOKENS: readonly string[] = [...byteCharacters(), 'th', '<|begin|>', '<|end|>'];
export const TEMPLATE =
  '{% for message in messages %}<|begin|>{{ message.role }}: {{ message.content }}<|end|>{% endfor %}';

export const METADATA: Readonly<Record<string, TestValue>> = {
  'general.architecture': 'llama',
  'general.type': 'model',
  'general.name': 'Small',
  'general.file_type': 7,
  'llama.block_count': LAYERS,
  'llama.context_length': 512,
  'llama.embedding_length': HIDDEN,
  'llama.feed_forward_length': MIDDLE,
  'llama.attention.head_count': 4,
  'llama.attention.head_count_kv': 2,
  'llama.attention.layer_norm_rms_epsilon': typed('float32', 1e-5),
  'llama.rope.freq_base': typed('float32', 10_000),
  'llama.rope.dimension_count': 16,
  'llama.vocab_size': TOKENS.length,
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'gpt-2',
  'tokenizer.ggml.tokens': TOKENS,
  'tokenizer.ggml.token_type': new Int32Array(TOKENS.length).fill(1).fill(3, 257),
  'tokenizer.ggml.merges': ['t h'],
  'tokenizer.ggml.bos_token_id': 257,
  'tokenizer.ggml.eos_token_id': 258,
  'tokenizer.ggml.add_bos_token': false,
  'tokenizer.chat_template': TEMPLATE,
};

/** @param type of the matrices, with blocks of 32 values at most */
export function llamaTensors(type: TestTensor['type'] = 'q8_0'): Record<string, TestTensor> {
  const layer = (at: number): Record<string, TestTensor> => ({
    [`blk.${at}.attn_norm.weight`]: { shape: [HIDDEN] },
    [`blk.${at}.attn_q.weight`]: { type, shape: [HIDDEN, HIDDEN] },
    [`blk.${at}.attn_k.weight`]: { type, shape: [KV, HIDDEN] },
    [`blk.${at}.attn_v.weight`]: { type, shape: [KV, HIDDEN] },
    [`blk.${at}.attn_output.weight`]: { type, shape: [HIDDEN, HIDDEN] },
    [`blk.${at}.ffn_norm.weight`]: { shape: [HIDDEN] },
    [`blk.${at}.ffn_gate.weight`]: { type, shape: [MIDDLE, HIDDEN] },
    [`blk.${at}.ffn_up.weight`]: { type, shape: [MIDDLE, HIDDEN] },
    [`blk.${at}.ffn_down.weight`]: { type, shape: [HIDDEN, MIDDLE] },
  });
  return {
    'token_embd.weight': { type, shape: [TOKENS.length, HIDDEN] },
    ...layer(0),
    ...layer(1),
    'output_norm.weight': { shape: [HIDDEN] },
    'output.weight': { type, shape: [TOKENS.length, HIDDEN] },
  };
}

/** The content of the file, for `ggufBytes` and `splitGguf`. */
export const smallLlama = (metadata: Readonly<Record<string, TestValue>> = {}): TestGguf => ({
  metadata: { ...METADATA, ...metadata },
  tensors: llamaTensors(),
});
