/**
 * What a decoder takes and gives, read from its own metadata: names, types and shapes, never assumed from its architecture.
 * A model this engine cannot drive is refused here, with the name of what is in the way. Pure.
 */

import { KEEP_INPUT } from '../../onnx/last-logits.ts';
import type { GraphIo, TensorInfo } from '../../onnx/types.ts';
import { BFLOAT16, ELEMENT_BYTES, ELEMENT_TYPES, FLOAT16, FLOAT32, INT64 } from '../../onnx/types.ts';
import type { TensorNames } from '../../protocol/loading.ts';

/** One tensor of the cache: read under the name `past`, written under the name `present`. */
export interface CachePort {
  readonly past: string;
  readonly present: string;
  /** `ONNXTensorElementDataType`. */
  readonly type: number;
  /** Of one row, with the tokens left out as -1: `[1, kv heads, -1, head]`, or whatever a cache that grows is made of. */
  readonly shape: readonly number[];
}

/** What a model is driven by. */
export interface Signature {
  /** Names of the inputs int64 `[rows, tokens]`, `[rows, width]` and, where there is one, `[rows, tokens]`. */
  readonly ids: string;
  readonly mask: string;
  readonly positions?: string;
  /** The input that says how many last positions to give logits of, and its shape, `[]` or `[1]`; absent where logits of all are given. */
  readonly keep?: { readonly name: string; readonly shape: readonly number[] };
  /** Output `[rows, positions, vocab]` of float32, float16 or bfloat16; `positions` where it is 1, the last, whatever went in. */
  readonly logits: { readonly name: string; readonly type: number; readonly positions?: 1 };
  readonly vocabSize: number;
  /** All that attention keeps, in the order of the model's inputs. */
  readonly caches: readonly CachePort[];
  /** Layers that keep something: keys and values, or both in one tensor. */
  readonly layers: number;
  /** Of the first cache. */
  readonly kvHeads: number;
  readonly headDim: number;
}

/** How caches are called where no configuration says: by the exports of Hugging Face, and by those before them. `%d` stands for the layer. */
const CACHE_NAMES: readonly (readonly [past: string, present: string])[] = [
  ['past_key_values.%d.key', 'present.%d.key'],
  ['past_key_values.%d.value', 'present.%d.value'],
  ['past_key_%d', 'present_key_%d'],
  ['past_value_%d', 'present_value_%d'],
  ['past_%d', 'present_%d'],
];

/**
 * @param ports of the model. Inputs `input_ids` and `attention_mask` int64, perhaps `position_ids` int64 and `num_logits_to_keep` int64 `[]`
 * or `[1]`, and the caches; outputs `logits` and what each cache becomes.
 * @param names what the model's configuration calls them.
 * @throws Error naming the input or output that is missing, unknown or of another type.
 */
export function readSignature({ inputs, outputs }: GraphIo, names: TensorNames = {}): Signature {
  const ids = names.inputIds ?? 'input_ids';
  const mask = names.attentionMask ?? 'attention_mask';
  for (const name of [ids, mask]) expectType(find(inputs, 'input', name), [INT64]);
  const positions = inputs.find(({ name }) => name === (names.positionIds ?? 'position_ids'));
  if (positions) expectType(positions, [INT64]);
  const keep = inputs.find(({ name }) => name === KEEP_INPUT);
  const logits = find(outputs, 'output', names.logits ?? 'logits');
  expectType(logits, [FLOAT32, FLOAT16, BFLOAT16]);
  const vocabSize = logits.shape[2] ?? -1;
  if (logits.shape.length !== 3 || vocabSize < 1)
    throw refusal(logits, 'has no fixed vocabulary as its last dimension');

  const others = [ids, mask, positions?.name, keep?.name];
  const found = inputs
    .filter(({ name }) => !others.includes(name))
    .map((input) => readCache(input, outputs, namesOfCaches(names)));
  const [first] = found;
  if (!first) throw new Error('The model has no past_key_values inputs: a decoder without a cache is not supported');
  return {
    ids,
    mask,
    ...(positions && { positions: positions.name }),
    ...(keep && { keep: { name: keep.name, shape: readKeepShape(keep) } }),
    logits: { name: logits.name, type: logits.type, ...(logits.shape[1] === 1 && { positions: 1 }) },
    vocabSize,
    caches: found.map(({ layer: _, ...cache }) => cache),
    layers: new Set(found.map(({ layer }) => layer)).size,
    kvHeads: first.shape.at(-3) ?? 1,
    headDim: first.shape.at(-1) ?? 1,
  };
}

/** What a configuration says comes first. */
function namesOfCaches(names: TensorNames): (readonly [past: string, present: string])[] {
  const said = [
    [names.pastKey, names.presentKey],
    [names.pastValue, names.presentValue],
  ].flatMap(([past, present]) => (past && present ? [[past, present] as const] : []));
  return [...said, ...CACHE_NAMES];
}

function readCache(
  input: TensorInfo,
  outputs: readonly TensorInfo[],
  names: readonly (readonly [past: string, present: string])[],
): CachePort & { layer: string } {
  for (const [past, present] of names) {
    const layer = layerOf(input.name, past);
    if (layer === undefined) continue;
    if (!ELEMENT_BYTES[input.type])
      throw new Error(`${input.name} is ${typeName(input.type)}: no cache is kept as that`);
    const output = find(outputs, 'output', present.replace('%d', layer));
    expectType(output, [input.type]);
    return { past: input.name, present: output.name, type: input.type, shape: rowShape(input), layer };
  }
  throw new Error(`The model has an input that this engine does not know: ${input.name}`);
}

/** The number that `%d` stands for in a name; undefined for another name. */
function layerOf(name: string, template: string): string | undefined {
  const [before = '', after = ''] = template.split('%d');
  if (!template.includes('%d') || !name.startsWith(before) || !name.endsWith(after)) return undefined;
  const layer = name.slice(before.length, name.length - after.length);
  return /^\d+$/.test(layer) ? layer : undefined;
}

/** Tokens lie along the last dimension but one, `[rows, heads, tokens, head]` or with keys and values in front; rows along another, or are one. */
function rowShape(input: TensorInfo): number[] {
  const tokens = input.shape.length - 2;
  const open = input.shape.flatMap((size, axis) => (size < 1 ? [axis] : []));
  const [rows, ...more] = open.filter((axis) => axis !== tokens);
  if (tokens < 2 || !open.includes(tokens) || more.length > 0)
    throw refusal(input, 'is not [rows, kv heads, past, head]');
  return input.shape.map((size, axis) => (axis === tokens ? -1 : axis === rows ? 1 : size));
}

/** Of the input that says how many positions are wanted. */
function readKeepShape(input: TensorInfo): number[] {
  expectType(input, [INT64]);
  if (input.shape.length > 1 || Math.abs(input.shape[0] ?? 1) !== 1) throw refusal(input, 'is not one number');
  return input.shape.map(() => 1);
}

function find(ports: readonly TensorInfo[], side: string, name: string): TensorInfo {
  const port = ports.find((candidate) => candidate.name === name);
  if (!port) throw new Error(`The model has no ${side} ${name}`);
  return port;
}

const typeName = (type: number): string => ELEMENT_TYPES[type] ?? `type ${type}`;

function expectType(port: TensorInfo, types: readonly number[]): void {
  if (types.includes(port.type)) return;
  throw new Error(`${port.name} is ${typeName(port.type)}: only ${types.map(typeName).join(', ')} is supported`);
}

const refusal = (port: TensorInfo, why: string): Error => new Error(`${port.name} ${why}: [${port.shape.join(', ')}]`);

/** Bytes of the cache of one row of `tokens`. */
export function rowBytes({ caches }: Signature, tokens: number): number {
  return caches.reduce((sum, { type, shape }) => sum + bytesOf(type, rowOf(shape, tokens)), 0);
}

/** The shape of a row of a cache that holds `tokens`. */
export const rowOf = (shape: readonly number[], tokens: number): number[] =>
  shape.map((size) => (size === -1 ? tokens : size));

/** @throws Error for a type whose elements have no size of their own. */
export function bytesOf(type: number, shape: readonly number[]): number {
  const size = ELEMENT_BYTES[type];
  if (!size) throw new Error(`${typeName(type)} has no fixed size`);
  return shape.reduce((product, dimension) => product * dimension, size);
}
