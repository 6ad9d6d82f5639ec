/**
 * The signature of a decoder: names, types and shapes of its inputs and outputs, read from the model's
 * metadata and never assumed from its architecture. Refuses a model that this engine cannot run, and names
 * the unsupported input or output. Pure.
 */

import { FIRST_INPUT, KEEP_INPUT } from '../../onnx/edit/last-logits.ts';
import { LAST_POSITIONS, LONGEST } from '../../onnx/edit/length-inputs.ts';
import { TOP } from '../../onnx/edit/top-logits.ts';
import type { GraphIo, TensorInfo } from '../../onnx/types.ts';
import { BFLOAT16, ELEMENT_BYTES, ELEMENT_TYPES, FLOAT16, FLOAT32, INT32, INT64 } from '../../onnx/types.ts';
import type { TensorNames } from '../../protocol/loading.ts';

/** One tensor of the KV cache: an input named `past` and an output named `present`. */
export interface CacheTensor {
  readonly past: string;
  readonly present: string;
  /** `ONNXTensorElementDataType`. */
  readonly type: number;
  /**
   * Shape of one row, with -1 for the tokens: `[1, kvHeads, -1, headDim]`. A growing cache may have more
   * dimensions.
   */
  readonly shape: readonly number[];
}

/** The inputs for the lengths of the rows after a run. */
export interface LengthInputs {
  /** Name of the input int32 `[rows]`: the position of the last token of each row. */
  readonly last: string;
  /** Name of the input int32 `[1]`: tokens in the longest row. */
  readonly longest: string;
}

/** The inputs and outputs by which the engine runs a model. */
export interface Signature {
  /** Name of the input int64 `[rows, tokens]`. */
  readonly ids: string;
  /**
   * The lengths of the rows: the name of a mask int64 `[rows, width]`, which exports have, or the inputs of a
   * graph that takes lengths.
   */
  readonly lengths: string | LengthInputs;
  /** Name of the input int64 `[rows, tokens]`. */
  readonly positions?: string;
  /**
   * Input for the number of last positions that get logits, shape `[]` or `[1]`; `negated` if its value is
   * minus that number. Absent = all positions get logits.
   */
  readonly keep?: { readonly name: string; readonly shape: readonly number[]; readonly negated?: true };
  /** Output `[rows, positions, vocab]`, float32, float16 or bfloat16; `positions` if it is always 1. */
  readonly logits: { readonly name: string; readonly type: number; readonly positions?: 1 };
  readonly vocabSize: number;
  /** The outputs of the best logits of each position; absent = the graph does not select them. */
  readonly top?: TopOutputs;
  /** The tensors of the KV cache, in the order of the model's inputs. */
  readonly caches: readonly CacheTensor[];
}

/** The outputs of the best logits. `count`: how many. */
export interface TopOutputs {
  /** Name of the output float32 `[rows, positions, count]`. */
  readonly logits: string;
  /** Name of the output int32 `[rows, positions, count]`. */
  readonly ids: string;
  /** Name of the output float32 `[rows, positions, 1]`. */
  readonly sum: string;
  readonly count: number;
}

/** The inputs of a graph that takes lengths. An edit of a graph appends underscores to a name in use. */
const LENGTH_INPUTS = [LAST_POSITIONS, LONGEST] as const;

/** Default names in exports of Hugging Face, and in older exports. `%d` stands for the layer. */
const CACHE_NAMES: readonly (readonly [past: string, present: string])[] = [
  ['past_key_values.%d.key', 'present.%d.key'],
  ['past_key_values.%d.value', 'present.%d.value'],
  ['past_key_%d', 'present_key_%d'],
  ['past_value_%d', 'present_value_%d'],
  ['past_%d', 'present_%d'],
];

/**
 * Reads the signature from a model's inputs and outputs. Inputs: `input_ids` and `attention_mask` int64 (or
 * `seqlens_k` and `total_sequence_length` int32 instead of the mask), optionally `position_ids` int64 and
 * `num_logits_to_keep` or `first_logits` int64 `[]` or `[1]`, and the caches. Outputs: `logits` and the
 * updated caches.
 * @param names other names of the inputs and outputs, from the model's configuration.
 * @throws Error that names the input or output that is missing, unknown or of another type.
 */
export function readSignature({ inputs, outputs }: GraphIo, names: TensorNames = {}): Signature {
  const ids = names.inputIds ?? 'input_ids';
  expectType(find(inputs, 'input', ids), [INT64]);
  const lengths = readLengths(inputs, names);
  const positions = inputs.find(({ name }) => name === (names.positionIds ?? 'position_ids'));
  if (positions) expectType(positions, [INT64]);
  const keep = readKeep(inputs);
  const logits = find(outputs, 'output', names.logits ?? 'logits');
  expectType(logits, [FLOAT32, FLOAT16, BFLOAT16]);
  const vocabSize = logits.shape[2] ?? -1;
  if (logits.shape.length !== 3 || vocabSize < 1)
    throw refusal(logits, 'has no fixed vocabulary as its last dimension');

  const lengthNames = typeof lengths === 'string' ? [lengths] : [lengths.last, lengths.longest];
  const others = [ids, ...lengthNames, positions?.name, keep?.name];
  const caches = inputs
    .filter(({ name }) => !others.includes(name))
    .map((input) => readCache(input, outputs, cacheNames(names)));
  if (caches.length === 0)
    throw new Error('The model has no past_key_values inputs: a decoder without a cache is not supported');
  return {
    ids,
    lengths,
    ...(positions && { positions: positions.name }),
    ...(keep && { keep }),
    ...readTop(outputs),
    logits: { name: logits.name, type: logits.type, ...(logits.shape[1] === 1 && { positions: 1 }) },
    vocabSize,
    caches,
  };
}

/** The mask, or the inputs of a graph that takes lengths. */
function readLengths(inputs: readonly TensorInfo[], names: TensorNames): string | LengthInputs {
  const mask = names.attentionMask ?? 'attention_mask';
  const [last, longest] = LENGTH_INPUTS.map((name) => inputs.find((input) => input.name.replace(/_+$/, '') === name));
  if (last && longest && !inputs.some(({ name }) => name === mask)) {
    for (const input of [last, longest]) expectType(input, [INT32]);
    return { last: last.name, longest: longest.name };
  }
  expectType(find(inputs, 'input', mask), [INT64]);
  return mask;
}

/** The names in the model's configuration first, then the default names. */
function cacheNames(names: TensorNames): (readonly [past: string, present: string])[] {
  const configured = [
    [names.pastKey, names.presentKey],
    [names.pastValue, names.presentValue],
  ].flatMap(([past, present]) => (past && present ? [[past, present] as const] : []));
  return [...configured, ...CACHE_NAMES];
}

function readCache(
  input: TensorInfo,
  outputs: readonly TensorInfo[],
  names: readonly (readonly [past: string, present: string])[],
): CacheTensor {
  for (const [past, present] of names) {
    const layer = layerOf(input.name, past);
    if (layer === undefined) continue;
    if (!ELEMENT_BYTES[input.type])
      throw new Error(`${input.name} is ${typeName(input.type)}: a cache cannot have this type`);
    const output = find(outputs, 'output', present.replace('%d', layer));
    expectType(output, [input.type]);
    return { past: input.name, present: output.name, type: input.type, shape: rowShape(input) };
  }
  throw new Error(`The model has an input that this engine does not know: ${input.name}`);
}

/** The number in a name at the place of `%d`; undefined if the name does not match. */
function layerOf(name: string, template: string): string | undefined {
  const [before = '', after = ''] = template.split('%d');
  if (!template.includes('%d') || !name.startsWith(before) || !name.endsWith(after)) return undefined;
  const layer = name.slice(before.length, name.length - after.length);
  return /^\d+$/.test(layer) ? layer : undefined;
}

/**
 * The shape of one row. Tokens are the second last dimension: `[rows, kvHeads, tokens, headDim]`, or the same
 * with a dimension for keys and values in front. At most one other dimension may be dynamic: the rows.
 */
function rowShape(input: TensorInfo): number[] {
  const tokens = input.shape.length - 2;
  const open = input.shape.flatMap((size, axis) => (size < 1 ? [axis] : []));
  const [rows, ...more] = open.filter((axis) => axis !== tokens);
  if (tokens < 2 || !open.includes(tokens) || more.length > 0)
    throw refusal(input, 'is not [rows, kv heads, past, head]');
  return input.shape.map((size, axis) => (axis === tokens ? -1 : axis === rows ? 1 : size));
}

/** The outputs that the engine adds to a graph for a device that selects the best logits. */
function readTop(outputs: readonly TensorInfo[]): Pick<Signature, 'top'> {
  const best = outputs.find(({ name }) => name === TOP.logits);
  const count = best?.shape[2];
  return count === undefined ? {} : { top: { ...TOP, count } };
}

/** The input for the number of positions that get logits. */
function readKeep(inputs: readonly TensorInfo[]): Signature['keep'] {
  const input = inputs.find(({ name }) => name === KEEP_INPUT || name === FIRST_INPUT);
  if (!input) return undefined;
  expectType(input, [INT64]);
  const { name, shape } = input;
  if (shape.length > 1 || Math.abs(shape[0] ?? 1) !== 1) throw refusal(input, 'is not one number');
  return { name, shape: shape.map(() => 1), ...(name === FIRST_INPUT && { negated: true }) };
}

function find(tensors: readonly TensorInfo[], side: 'input' | 'output', name: string): TensorInfo {
  const tensor = tensors.find((candidate) => candidate.name === name);
  if (!tensor) throw new Error(`The model has no ${side} ${name}`);
  return tensor;
}

const typeName = (type: number): string => ELEMENT_TYPES[type] ?? `type ${type}`;

function expectType({ name, type }: TensorInfo, types: readonly number[]): void {
  if (types.includes(type)) return;
  throw new Error(`${name} is ${typeName(type)}: only ${types.map(typeName).join(', ')} is supported`);
}

const refusal = ({ name, shape }: TensorInfo, why: string): Error => new Error(`${name} ${why}: [${shape.join(', ')}]`);

/** Bytes of the KV cache of one row with `tokens` tokens. */
export function rowBytes({ caches }: Signature, tokens: number): number {
  return caches.reduce((sum, { type, shape }) => sum + bytesOf(type, rowOf(shape, tokens)), 0);
}

/** Replaces the -1 in the shape of a row with the number of tokens. */
export const rowOf = (shape: readonly number[], tokens: number): number[] =>
  shape.map((size) => (size === -1 ? tokens : size));

/**
 * Bytes of a tensor.
 * @throws Error for a type whose elements have no fixed size.
 */
export function bytesOf(type: number, shape: readonly number[]): number {
  const size = ELEMENT_BYTES[type];
  if (!size) throw new Error(`${typeName(type)} has no fixed size`);
  return shape.reduce((product, dimension) => product * dimension, size);
}
