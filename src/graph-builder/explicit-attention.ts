/**
 * Attention of one layer in elementary operators, for a device whose GroupQueryAttention ignores a part of
 * the computation. The KV cache has the same shape as with that operator, and is also updated in place.
 * Slower: each run copies the used part of the KV cache, and its keys once more. Pure.
 */
import { INT32, INT64 } from '../onnx/types.ts';
import type { AttentionSpec, GraphMatrix } from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';
import type { RotaryTables } from './rotary.ts';

/** The inputs that all layers share. */
export interface AttentionInputs {
  /** int64 `[rows, tokens]`. */
  readonly ids: string;
  /** int32 `[rows]`: position of the last token of each row. */
  readonly lastPositions: string;
  /** int32 `[1]`: tokens in the longest row. */
  readonly longest: string;
  /** Absent for a layer without positions. */
  readonly tables?: RotaryTables;
}

/** Heads of one layer, `[rows, tokens, heads × size]`, and the KV cache of the layer. */
export interface ExplicitAttention {
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly spec: AttentionSpec<GraphMatrix>;
  /** Elements of a head, with its padding. */
  readonly size: number;
  /** Elements of a head that the rotary embedding rotates, with their padding; 0 without one. */
  readonly rotated: number;
  /** The pairs of rotated elements are neighbours. */
  readonly isInterleaved: boolean;
  readonly past: readonly [key: string, value: string];
  readonly present: readonly [key: string, value: string];
  /** Prefix of the names of the weights. */
  readonly name: string;
}

/** Score of a key that a query does not read: its exponential is 0 beside any other. */
const UNREAD = -1e30;
/** The same within the range of half floats. */
const UNREAD_HALF = -6e4;

/** Adds the attention. Returns the name of the result, `[rows, tokens, heads × size]`. */
export function addExplicitAttention(
  graph: DecoderGraph,
  { q, k, v, spec, size, past, present, name, ...rotation }: ExplicitAttention,
  inputs: AttentionInputs,
): string {
  const { heads, kvHeads, scale, softcap } = spec;
  const group = heads / kvHeads;
  const positions = positionsOf(graph, inputs);
  const indices = graph.once(`cache_indices_${kvHeads}`, () => cacheIndices(graph, positions, kvHeads));
  const rotate = (value: string, count: number): string =>
    rotateHeads(graph, value, { count, size, inputs, ...rotation });
  const keys = appended(graph, rotate(k, kvHeads), { kvHeads, size, indices, past: past[0], present: present[0] });
  const values = appended(graph, v, { kvHeads, size, indices, past: past[1], present: present[1] });
  const [usedKeys, usedValues] = [usedPart(graph, keys, inputs), usedPart(graph, values, inputs)];

  // The queries of one head of keys are one matrix [tokens × group, size].
  const apart = graph.node('Reshape', [rotate(q, heads), graph.integers(0, 0, kvHeads, group, size)]);
  const queries = graph.node('Reshape', [swapped(graph, apart, [0, 2, 1, 3, 4]), graph.integers(0, kvHeads, -1, size)]);
  const factor = softcap === undefined ? scale : scale / softcap;
  const products = graph.node('MatMul', [graph.scaled(queries, factor), swapped(graph, usedKeys, [0, 1, 3, 2])]);
  const scores = softcap === undefined ? products : graph.scaled(graph.node('Tanh', [products]), softcap);
  const visible = visibleKeys(graph, usedKeys, { positions, group, window: spec.window });
  const masked = graph.node('Where', [visible, scores, graph.scalar(graph.isHalf ? UNREAD_HALF : UNREAD)]);
  const shares = sharesOf(graph, masked, { spec, name });
  const sums = graph.node('MatMul', [shares, usedValues]);
  const ordered = graph.node('Reshape', [sums, graph.integers(0, kvHeads, -1, group, size)]);
  return graph.node('Reshape', [swapped(graph, ordered, [0, 2, 1, 3, 4]), graph.integers(0, 0, -1)]);
}

/**
 * The softmax of the scores `[rows, kvHeads, tokens × group, longest]`. A sink is one more score of each
 * query, which has no value: its column is cut off.
 */
function sharesOf(
  graph: DecoderGraph,
  scores: string,
  { spec, name }: Pick<ExplicitAttention, 'spec' | 'name'>,
): string {
  const softmax = (value: string): string => graph.node('Softmax', [value], { attributes: { axis: { integer: -1 } } });
  const { sinks, kvHeads, heads } = spec;
  if (!sinks) return softmax(scores);
  const group = heads / kvHeads;
  const sizes = graph.node('Shape', [scores], { attributes: { end: { integer: 3 } } });
  const ones = graph.node('Concat', [sizes, graph.integers(1)], { attributes: { axis: { integer: 0 } } });
  const zeros = graph.node('Reshape', [graph.node('Expand', [graph.scalar(0), ones]), graph.integers(0, 0, -1, group)]);
  const ofHeads = graph.node('Reshape', [graph.weight(sinks, `${name}.sinks`), graph.integers(kvHeads, 1, group)]);
  const column = graph.node('Reshape', [graph.node('Add', [zeros, ofHeads]), graph.integers(0, kvHeads, -1, 1)]);
  const shares = softmax(graph.node('Concat', [scores, column], { attributes: { axis: { integer: 3 } } }));
  return graph.node('Slice', [shares, graph.integers(0), graph.integers(-1), graph.integers(3)]);
}

/**
 * int32 `[rows, tokens]`: the position of each token of the run in its row. Computed in int32, which a GPU
 * computes: a copy from the device to the host would wait for the device.
 */
function positionsOf(graph: DecoderGraph, { ids, lastPositions }: AttentionInputs): string {
  return graph.once('positions', () => {
    const tokens = sizeOf(graph, ids, 1);
    const ends = graph.node('Add', [lastPositions, graph.int32s(1)]);
    const starts = graph.node('Unsqueeze', [graph.node('Sub', [ends, tokens]), graph.integers(1)]);
    return graph.node('Add', [starts, countTo(graph, tokens)]);
  });
}

/** int64 `[rows, kvHeads, tokens, 3]`: the row, head and position of each new token in the KV cache. */
function cacheIndices(graph: DecoderGraph, positions: string, kvHeads: number): string {
  const column = (value: string, ...form: readonly number[]): string =>
    graph.node('Reshape', [value, graph.integers(...form)]);
  const heads = graph.int32s(...Array.from({ length: kvHeads }, (_, index) => index));
  const columns = [
    column(countTo(graph, sizeOf(graph, positions, 0)), -1, 1, 1, 1),
    column(heads, 1, -1, 1, 1),
    graph.node('Unsqueeze', [positions, graph.integers(1, 3)]),
  ] as const;
  // A sum with these zeros has the shape [rows, kvHeads, tokens, 1].
  const [row, head, position] = columns.map((value) => graph.node('Mul', [value, graph.int32(0)]));
  const zeros = graph.node('Add', [graph.node('Add', [row ?? '', head ?? '']), position ?? '']);
  const whole = columns.map((value) => graph.node('Add', [value, zeros]));
  return cast(graph, graph.node('Concat', whole, { attributes: { axis: { integer: 3 } } }), INT64);
}

interface Rotation {
  /** Number of heads. */
  readonly count: number;
  readonly size: number;
  readonly rotated: number;
  readonly isInterleaved: boolean;
  readonly inputs: AttentionInputs;
}

function rotateHeads(graph: DecoderGraph, value: string, rotation: Rotation): string {
  const { count, size, rotated, isInterleaved, inputs } = rotation;
  const { tables } = inputs;
  if (!tables) return value;
  const part = { num_heads: { integer: count }, rotary_embedding_dim: { integer: rotated } };
  const positions = graph.once('positions_int64', () => cast(graph, positionsOf(graph, inputs), INT64));
  return graph.microsoft('RotaryEmbedding', [value, positions, tables.cos, tables.sin], {
    attributes: { ...(rotated === size ? {} : part), ...(isInterleaved && { interleaved: { integer: 1 } }) },
  });
}

interface Appended {
  readonly kvHeads: number;
  readonly size: number;
  readonly indices: string;
  readonly past: string;
  readonly present: string;
}

/** Writes the new keys or values into the KV cache. Returns the name of the whole KV cache. */
function appended(graph: DecoderGraph, value: string, { kvHeads, size, indices, past, present }: Appended): string {
  const heads = graph.node('Reshape', [value, graph.integers(0, 0, kvHeads, size)]);
  return graph.node('ScatterND', [past, indices, swapped(graph, heads, [0, 2, 1, 3])], { outputs: [present] });
}

/** The KV cache without its unused memory: `[rows, kvHeads, longest, size]`. */
function usedPart(graph: DecoderGraph, cache: string, { longest }: AttentionInputs): string {
  return graph.node('Slice', [cache, graph.int32s(0), longest, graph.int32s(2)]);
}

interface Visibility {
  readonly positions: string;
  /** Queries for each head of keys. */
  readonly group: number;
  readonly window: number | undefined;
}

/** bool `[rows, 1, tokens × group, longest]`: true for the keys that a query reads. */
function visibleKeys(graph: DecoderGraph, usedKeys: string, { positions, group, window }: Visibility): string {
  return graph.once(`visible_${group}_${window}`, () => {
    const each = graph.node('Unsqueeze', [positions, graph.integers(2)]);
    const repeated = graph.node('Add', [each, graph.int32s(...Array<number>(group).fill(0))]);
    const queries = graph.node('Reshape', [repeated, graph.integers(0, 1, -1, 1)]);
    const keys = graph.once('key_positions', () => countTo(graph, sizeOf(graph, usedKeys, 2)));
    const past = graph.node('LessOrEqual', [keys, queries]);
    if (window === undefined) return past;
    const near = graph.node('Greater', [keys, graph.node('Sub', [queries, graph.int32s(window)])]);
    return graph.node('And', [past, near]);
  });
}

/** int32: a size of a tensor, which the host knows. */
const sizeOf = (graph: DecoderGraph, value: string, axis: number): string =>
  cast(graph, graph.node('Gather', [graph.node('Shape', [value]), graph.integer(axis)]), INT32);

/** int32 `[count]`: 0, 1, 2, … */
const countTo = (graph: DecoderGraph, count: string): string =>
  graph.node('Range', [graph.int32(0), count, graph.int32(1)]);

const swapped = (graph: DecoderGraph, value: string, perm: readonly number[]): string =>
  graph.node('Transpose', [value], { attributes: { perm: { integers: perm } } });

const cast = (graph: DecoderGraph, value: string, type: number): string =>
  graph.node('Cast', [value], { attributes: { to: { integer: type } } });
