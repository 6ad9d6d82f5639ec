/** Root mean square norms, alone and fused with the sum before them. Pure. */
import { FLOAT32 } from '../onnx/types.ts';
import type { NormSpec } from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';

/** The norm over the last dimension of `x`. Without a norm: `x` itself. */
export function addNorm(graph: DecoderGraph, x: string, norm: NormSpec | undefined, name: string): string {
  if (!norm) return x;
  return graph.node('SimplifiedLayerNormalization', [x, factor(graph, norm, name)], {
    attributes: { axis: { integer: -1 }, epsilon: { float: norm.epsilon }, stash_type: { integer: 1 } },
  });
}

/** The sum of the residual stream and the output of a block, and the norm of this sum. */
export interface NormedSum {
  readonly sum: string;
  readonly normed: string;
}

/** `sum = residual + x`, and its norm. Without a norm: the sum twice. */
export function addSumAndNorm(
  graph: DecoderGraph,
  [residual, x]: readonly [residual: string, x: string],
  norm: NormSpec | undefined,
  name: string,
): NormedSum {
  if (!norm) {
    const sum = graph.node('Add', [residual, x]);
    return { sum, normed: sum };
  }
  const [normed, sum] = [graph.writer.fresh(`${name}/normed`), graph.writer.fresh(`${name}/sum`)];
  graph.microsoft('SkipSimplifiedLayerNormalization', [residual, x, factor(graph, norm, name)], {
    outputs: [normed, '', '', sum],
    attributes: { epsilon: { float: norm.epsilon } },
  });
  return { sum, normed };
}

/**
 * The factor of each element: `weight + offset`. The runtime computes the sum when it opens the model, in
 * float32: its CPU, which computes constants, does not add half floats.
 */
function factor(graph: DecoderGraph, { weight, offset }: NormSpec, name: string): string {
  if (offset === 0) return graph.weight(weight, `${name}.weight`);
  const wide = graph.cast(graph.stored(weight, `${name}.weight`), weight.type, FLOAT32);
  return graph.cast(graph.node('Add', [wide, graph.scalar(offset, FLOAT32)]), FLOAT32);
}
