/**
 * The types of tensors and the kinds of files in GGUF, by their numbers. Pure.
 * Source: `ggml_type` in ggml.h and `llama_ftype` in llama.h.
 */
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../../onnx/types.ts';
import { BLOCK_FORMATS, type BlockFormat, type BlockShape } from '../../../protocol/decoder/block-formats.ts';
import { BrokenCheckpoint, quoted } from '../safetensors.ts';

/** A type of tensors that the worker reads. */
export type TensorType =
  | { readonly name: string; readonly type: number; readonly block: Omit<BlockShape, 'id'> }
  | { readonly name: string; readonly format: BlockFormat; readonly block: Omit<BlockShape, 'id'> };

const PLAIN = [
  [0, { name: 'f32', type: FLOAT32, block: { values: 1, bytes: 4 } }],
  [1, { name: 'f16', type: FLOAT16, block: { values: 1, bytes: 2 } }],
  [30, { name: 'bf16', type: BFLOAT16, block: { values: 1, bytes: 2 } }],
] as const;
const BLOCKS = Object.entries(BLOCK_FORMATS).map(
  ([name, block]) => [block.id, { name, format: name as BlockFormat, block }] as const,
);
const TYPES: ReadonlyMap<number, TensorType> = new Map<number, TensorType>([...PLAIN, ...BLOCKS]);

/** Types that the worker does not read, and types that ggml has removed. */
const OTHERS: ReadonlyMap<number, string> = new Map([
  [4, 'Q4_2'],
  [5, 'Q4_3'],
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [31, 'Q4_0_4_4'],
  [32, 'Q4_0_4_8'],
  [33, 'Q4_0_8_8'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [36, 'IQ4_NL_4_4'],
  [37, 'IQ4_NL_4_8'],
  [38, 'IQ4_NL_8_8'],
  [40, 'NVFP4'],
]);

/**
 * The type of a tensor.
 * @throws BrokenCheckpoint for a type that the worker does not read
 */
export function tensorTypeOf(id: number, tensor: string): TensorType {
  const type = TYPES.get(id);
  if (type !== undefined) return type;
  const name = OTHERS.get(id) ?? `with the number ${id}, which is unknown`;
  const allowed = [...TYPES.values()].map((one) => one.name.toUpperCase()).join(', ');
  throw new BrokenCheckpoint(
    `has the tensor ${quoted(tensor)} of the type ${name}; allowed: ${allowed}. Use another file of the model, such as Q4_K_M`,
  );
}

/** Kinds of files by `general.file_type`. */
const FILE_KINDS = {
  0: 'f32',
  1: 'f16',
  2: 'q4_0',
  3: 'q4_1',
  7: 'q8_0',
  8: 'q5_0',
  9: 'q5_1',
  10: 'q2_k',
  11: 'q3_k_s',
  12: 'q3_k_m',
  13: 'q3_k_l',
  14: 'q4_k_s',
  15: 'q4_k_m',
  16: 'q5_k_s',
  17: 'q5_k_m',
  18: 'q6_k',
  19: 'iq2_xxs',
  20: 'iq2_xs',
  21: 'q2_k_s',
  22: 'iq3_xs',
  23: 'iq3_xxs',
  24: 'iq1_s',
  25: 'iq4_nl',
  26: 'iq3_s',
  27: 'iq3_m',
  28: 'iq2_s',
  29: 'iq2_m',
  30: 'iq4_xs',
  31: 'iq1_m',
  32: 'bf16',
  36: 'tq1_0',
  37: 'tq2_0',
  38: 'mxfp4_moe',
} as const;
/** A kind of file: the label of its weights. */
type GgufDtype = (typeof FILE_KINDS)[keyof typeof FILE_KINDS] | BlockFormat;
const KINDS: ReadonlyMap<number, GgufDtype> = new Map(
  Object.entries(FILE_KINDS).map(([number, kind]) => [Number(number), kind]),
);
/** Added to a kind that the writer has not stated but guessed. */
const GUESSED = 1024;

/** The types of floats, which are also labels of files. */
const FLOATS: ReadonlySet<string> = new Set(PLAIN.map(([, { name }]) => name));

/**
 * The label of a file: its kind, or the type of most bytes of its tensors. A kind of floats counts only if
 * most bytes are floats.
 * @param fileType `general.file_type`
 */
export function dtypeOf(fileType: unknown, bytesByType: ReadonlyMap<string, number>): string {
  const kind = typeof fileType === 'number' ? KINDS.get(fileType & ~GUESSED) : undefined;
  const [main = 'f32'] = [...bytesByType].sort(([, a], [, b]) => b - a)[0] ?? [];
  return kind === undefined || (FLOATS.has(kind) && !FLOATS.has(main)) ? main : kind;
}
