/**
 * Heads of sizes that GroupQueryAttention does not take: it takes multiples of 16 if it rotates. Padding with
 * zeros changes no product of queries and keys, and adds zeros to the output, which are cut off again: the
 * result is exact. Pure.
 */
import type { DecoderGraph } from './decoder-graph.ts';

/** The operator takes head sizes that are multiples of this number. */
const MULTIPLE = 16;

export interface HeadPadding {
  /** Elements of a head with its padding. */
  readonly paddedSize: number;
  /**
   * A head is padded in parts of equal size: two halves if all elements rotate, because each half must begin
   * with its own elements; else one part.
   */
  readonly part: number;
  readonly paddedPart: number;
}

/** The padding of heads of `headSize` elements, of which the rotary embedding rotates `rotaryDimensions`. */
export function headPadding(headSize: number, rotaryDimensions: number): HeadPadding {
  const paddedSize = Math.ceil(headSize / MULTIPLE) * MULTIPLE;
  const parts = rotaryDimensions === headSize ? 2 : 1;
  return { paddedSize, part: headSize / parts, paddedPart: paddedSize / parts };
}

/** `[rows, tokens, heads × size]` → `[rows, tokens, heads × paddedSize]`. */
export function padHeads(graph: DecoderGraph, value: string, { part, paddedPart }: HeadPadding): string {
  if (part === paddedPart) return value;
  const parts = graph.node('Reshape', [value, graph.integers(0, 0, -1, part)]);
  const padded = graph.node('Pad', [parts, graph.integers(0, 0, 0, 0, 0, 0, 0, paddedPart - part)]);
  return graph.node('Reshape', [padded, graph.integers(0, 0, -1)]);
}

/** `[rows, tokens, heads × paddedSize]` → `[rows, tokens, heads × size]`. */
export function unpadHeads(graph: DecoderGraph, value: string, { part, paddedPart }: HeadPadding): string {
  if (part === paddedPart) return value;
  const parts = graph.node('Reshape', [value, graph.integers(0, 0, -1, paddedPart)]);
  const bounds = [graph.integers(0), graph.integers(part), graph.integers(3)];
  return graph.node('Reshape', [graph.node('Slice', [parts, ...bounds]), graph.integers(0, 0, -1)]);
}
