/**
 * Attention of one layer: products for queries, keys and values, their norms, GroupQueryAttention with the
 * rotary embedding inside, and the product of the output. Pure.
 */
import type { Attribute } from '../onnx/write/model-writer.ts';
import type { AttentionSpec, GraphMatrix, NormSpec } from '../protocol/decoder/decoder-spec.ts';
import { computes } from './choices.ts';
import type { DecoderGraph } from './decoder-graph.ts';
import { type AttentionInputs, addExplicitAttention } from './explicit-attention.ts';
import { type HeadLayout, padHeads, unpadHeads } from './head-layout.ts';
import { addJoinedLinears, addLinear } from './linear.ts';
import { addNorm } from './norms.ts';

const OPERATOR = 'GroupQueryAttention';

/** Names of the tensors of the KV cache of a layer. */
export const cacheNames = (layer: number): Readonly<Record<'past' | 'present', readonly [string, string]>> => ({
  past: [`past_key_values.${layer}.key`, `past_key_values.${layer}.value`],
  present: [`present.${layer}.key`, `present.${layer}.value`],
});

/**
 * Adds the attention of layer `layer` to the normed input `x` `[rows, tokens, hidden]`. Returns the name of
 * the result, of the same shape. The graph writes the KV cache in place, if input and output are one memory.
 */
export function addAttention(
  graph: DecoderGraph,
  x: string,
  { spec, layer, layout }: AttentionLayer,
  inputs: AttentionInputs,
): string {
  const name = `layers.${layer}.attention`;
  const attributes = attributesOf(spec, layout, inputs.tables !== undefined);
  const { past, present } = cacheNames(layer);
  if (!computes(graph.choices, OPERATOR, attributes)) {
    const [q, k, v] = apart(graph, x, spec, { name, layout });
    const { paddedSize, rotaryColumns, isInterleaved } = layout;
    const sizes = { size: paddedSize, rotated: 2 * rotaryColumns, isInterleaved };
    const heads = { q, k, v, spec, ...sizes, past, present, name };
    const attended = addExplicitAttention(graph, heads, inputs);
    return addLinear(graph, unpadHeads(graph, attended, layout), spec.output, `${name}.output`);
  }
  const [q, k, v] = projections(graph, x, spec, { name, layout });
  const tables = inputs.tables ? [inputs.tables.cos, inputs.tables.sin] : [];
  const sinks = spec.sinks
    ? [...(inputs.tables ? [] : ['', '']), '', '', graph.weight(spec.sinks, `${name}.sinks`)]
    : [];
  const attended = graph.writer.fresh(`${name}/attended`);
  graph.microsoft(OPERATOR, [q, k, v, ...past, inputs.lastPositions, inputs.longest, ...tables, ...sinks], {
    outputs: [attended, ...present],
    attributes,
  });
  return addLinear(graph, unpadHeads(graph, attended, layout), spec.output, `${name}.output`);
}

export interface AttentionLayer {
  readonly spec: AttentionSpec<GraphMatrix>;
  readonly layer: number;
  readonly layout: HeadLayout;
}

function attributesOf(
  spec: AttentionSpec<GraphMatrix>,
  { isInterleaved }: HeadLayout,
  rotates: boolean,
): Record<string, Attribute> {
  return {
    num_heads: { integer: spec.heads },
    kv_num_heads: { integer: spec.kvHeads },
    scale: { float: spec.scale },
    do_rotary: { integer: rotates ? 1 : 0 },
    ...(isInterleaved && { rotary_interleaved: { integer: 1 } }),
    ...(spec.window !== undefined && { local_window_size: { integer: spec.window } }),
    ...(spec.softcap !== undefined && { softcap: { float: spec.softcap } }),
  };
}

type Projected = readonly [q: string, k: string, v: string];

interface Projecting {
  readonly name: string;
  readonly layout: HeadLayout;
}

/** Queries, keys and values with padded heads. The packed form has all of them in `q`, and no `k` and `v`. */
function projections(
  graph: DecoderGraph,
  x: string,
  spec: AttentionSpec<GraphMatrix>,
  projecting: Projecting,
): Projected {
  const { q, k, v, qNorm, kNorm } = spec;
  const { name, layout } = projecting;
  // The norms take queries and keys apart again, and GroupQueryAttention of the CPU has no such norms.
  if (!graph.choices.packsQkv || qNorm || kNorm) return apart(graph, x, spec, projecting);
  const packed = addJoinedLinears(graph, x, [q, k, v], `${name}.qkv`);
  return packed === undefined ? apart(graph, x, spec, projecting) : [padHeads(graph, packed, layout), '', ''];
}

/** Queries, keys and values with padded heads, each for itself. */
function apart(
  graph: DecoderGraph,
  x: string,
  spec: AttentionSpec<GraphMatrix>,
  { name, layout }: Projecting,
): Projected {
  const { q, k, v, qNorm, kNorm } = spec;
  const pad = (value: string): string => padHeads(graph, value, layout);
  const normed = (value: string, norm: NormSpec | undefined, part: string): string =>
    normOfHeads(graph, value, norm && { norm, spec, name: `${name}.${part}_norm` });
  return [
    pad(normed(addLinear(graph, x, q, `${name}.q`), qNorm, 'q')),
    pad(normed(addLinear(graph, x, k, `${name}.k`), kNorm, 'k')),
    pad(addLinear(graph, x, v, `${name}.v`)),
  ];
}

interface HeadsNorm {
  readonly norm: NormSpec;
  readonly spec: AttentionSpec<GraphMatrix>;
  readonly name: string;
}

/** The norm of each head alone, or of all heads together. */
function normOfHeads(graph: DecoderGraph, value: string, heads: HeadsNorm | undefined): string {
  if (!heads) return value;
  const { norm, spec, name } = heads;
  if (spec.normOver === 'width') return addNorm(graph, value, norm, name);
  const apart = graph.node('Reshape', [value, graph.integers(0, 0, -1, spec.headSize)]);
  return graph.node('Reshape', [addNorm(graph, apart, norm, name), graph.integers(0, 0, -1)]);
}
