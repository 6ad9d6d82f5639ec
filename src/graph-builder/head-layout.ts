/**
 * The order of the elements in a head for GroupQueryAttention. It takes heads of multiples of 16 elements,
 * and rotates the first 2n of them, where n is a multiple of 8. Other heads get zeros behind each half of the
 * rotated elements and at the end; if the pairs are neighbours, behind the last pair and at the end. Zeros
 * change no product of queries and keys, and the zeros of the output are cut off: the result is exact.
 * Pure.
 */
import { BFLOAT16, FLOAT32 } from '../onnx/types.ts';
import type { AttentionSpec, DecoderSpec, GraphMatrix } from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';

/** The sizes that the operator takes are multiples of these numbers. */
const HEAD_MULTIPLE = 16;
const ROTARY_MULTIPLE = 8;

export interface HeadLayout {
  readonly size: number;
  readonly paddedSize: number;
  /** Columns of the rotary tables, with padding; 0 for a layer without positions. */
  readonly rotaryColumns: number;
  /** The rotary embedding rotates the elements 2i and 2i + 1. */
  readonly isInterleaved: boolean;
  /**
   * For each padded element the element of the head, or `size` for a zero; absent if the head has no padding.
   */
  readonly places?: readonly number[];
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** The layout of the heads of a layer. */
export function headLayout(
  { headSize: size, rotary }: AttentionSpec<GraphMatrix>,
  { rotaries }: DecoderSpec<GraphMatrix>,
): HeadLayout {
  const { frequencies, interleaved } = (rotary === undefined ? undefined : rotaries[rotary]) ?? {};
  const half = frequencies?.length ?? 0;
  const isInterleaved = interleaved === true;
  const rotaryColumns = roundUp(half, ROTARY_MULTIPLE);
  const paddedSize = roundUp(2 * rotaryColumns + size - 2 * half, HEAD_MULTIPLE);
  if (paddedSize === size) return { size, paddedSize, rotaryColumns, isInterleaved };
  const place = (element: number): number => {
    const inHalf = element % rotaryColumns;
    if (element >= 2 * rotaryColumns) return Math.min(size, element - 2 * (rotaryColumns - half));
    if (isInterleaved) return element < 2 * half ? element : size;
    return inHalf >= half ? size : inHalf + (element < rotaryColumns ? 0 : half);
  };
  return {
    size,
    paddedSize,
    rotaryColumns,
    isInterleaved,
    places: Array.from({ length: paddedSize }, (_, element) => place(element)),
  };
}

/** `[rows, tokens, heads × size]` → `[rows, tokens, heads × paddedSize]`. */
export function padHeads(graph: DecoderGraph, value: string, { size, places }: HeadLayout): string {
  if (!places) return value;
  const heads = graph.node('Reshape', [value, graph.integers(0, 0, -1, size)]);
  // Pad has no bfloat16, on any device.
  const wide = graph.type === BFLOAT16 ? FLOAT32 : graph.type;
  const pads = graph.integers(0, 0, 0, 0, 0, 0, 0, 1);
  const withZero = graph.node('Pad', [graph.cast(heads, graph.type, wide), pads]);
  return joined(graph, graph.cast(withZero, wide), places);
}

/** `[rows, tokens, heads × paddedSize]` → `[rows, tokens, heads × size]`. */
export function unpadHeads(graph: DecoderGraph, value: string, { size, paddedSize, places }: HeadLayout): string {
  if (!places) return value;
  const heads = graph.node('Reshape', [value, graph.integers(0, 0, -1, paddedSize)]);
  return joined(
    graph,
    heads,
    Array.from({ length: size }, (_, element) => places.indexOf(element)),
  );
}

/** The elements of each head at `places`, and all heads in one dimension. */
function joined(graph: DecoderGraph, heads: string, places: readonly number[]): string {
  const chosen = graph.node('Gather', [heads, graph.integers(...places)], { attributes: { axis: { integer: 3 } } });
  return graph.node('Reshape', [chosen, graph.integers(0, 0, -1)]);
}
