/** The gated MLP of one layer. Pure. */
import type { GraphMatrix, MlpSpec } from '../protocol/decoder/decoder-spec.ts';
import type { DecoderGraph } from './decoder-graph.ts';
import { addLinear } from './linear.ts';

/** Adds `down(activation(gate(x)) × up(x))`, `[rows, tokens, hidden]`. Returns the name of the result. */
export function addMlp(
  graph: DecoderGraph,
  x: string,
  { gate, up, down, activation }: MlpSpec<GraphMatrix>,
  name: string,
): string {
  const gated = activated(graph, addLinear(graph, x, gate, `${name}.gate`), activation);
  const inner = graph.node('Mul', [gated, addLinear(graph, x, up, `${name}.up`)]);
  return addLinear(graph, inner, down, `${name}.down`);
}

/** QuickGelu with alpha 1 is x × sigmoid(x); FastGelu is the approximation of GELU by tanh. */
function activated(graph: DecoderGraph, x: string, activation: MlpSpec<GraphMatrix>['activation']): string {
  if (activation === 'gelu_tanh') return graph.microsoft('FastGelu', [x]);
  return graph.microsoft('QuickGelu', [x], { attributes: { alpha: { float: 1 } } });
}
