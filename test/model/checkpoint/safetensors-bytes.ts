/** Writes .safetensors files for tests: correct ones, and files with any header. */

/** Bits of an element by the name of its type. */
const BITS: Readonly<Record<string, number>> = { F32: 32, F16: 16, BF16: 16, I64: 64, BOOL: 8, F8_E4M3: 8, I32: 32 };

export interface TestTensor {
  /** Default: F32. */
  readonly dtype?: string;
  readonly shape: readonly number[];
}

/** A header, its length in front, and the data. */
export function fileWith(header: string | Uint8Array, data: Uint8Array = new Uint8Array()): Buffer {
  const text = Buffer.from(header as string);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

export const bytesOf = ({ dtype = 'F32', shape }: TestTensor): number =>
  (shape.reduce((product, size) => product * size, 1) * (BITS[dtype] ?? 8)) / 8;

/** The fields of a header, with the tensors one after another. */
export function headerOf(tensors: Readonly<Record<string, TestTensor>>): Record<string, object> {
  let at = 0;
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const begin = at;
      at += bytesOf(tensor);
      return [name, { dtype: tensor.dtype ?? 'F32', shape: tensor.shape, data_offsets: [begin, at] }];
    }),
  );
}

/** A correct file, whose data is zeros. */
export function safetensorsBytes(tensors: Readonly<Record<string, TestTensor>>): Buffer {
  const size = Object.values(tensors).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  return fileWith(JSON.stringify({ __metadata__: { format: 'pt' }, ...headerOf(tensors) }), new Uint8Array(size));
}

/** The tensors of a small Llama that `CONFIG` of `folders.ts` describes. */
export function llamaTensors(dtype: string): Record<string, TestTensor> {
  const [hidden, kv, middle, vocabulary] = [128, 64, 256, 100];
  const layer = (at: number): [string, number[]][] => [
    [`model.layers.${at}.input_layernorm.weight`, [hidden]],
    [`model.layers.${at}.post_attention_layernorm.weight`, [hidden]],
    [`model.layers.${at}.self_attn.q_proj.weight`, [hidden, hidden]],
    [`model.layers.${at}.self_attn.k_proj.weight`, [kv, hidden]],
    [`model.layers.${at}.self_attn.v_proj.weight`, [kv, hidden]],
    [`model.layers.${at}.self_attn.o_proj.weight`, [hidden, hidden]],
    [`model.layers.${at}.mlp.gate_proj.weight`, [middle, hidden]],
    [`model.layers.${at}.mlp.up_proj.weight`, [middle, hidden]],
    [`model.layers.${at}.mlp.down_proj.weight`, [hidden, middle]],
  ];
  const all: [string, number[]][] = [
    ['model.embed_tokens.weight', [vocabulary, hidden]],
    ...layer(0),
    ...layer(1),
    ['model.norm.weight', [hidden]],
    ['lm_head.weight', [vocabulary, hidden]],
  ];
  return Object.fromEntries(all.map(([name, shape]) => [name, { dtype, shape }]));
}
