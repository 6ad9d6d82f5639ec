/**
 * Finds the number of rows of a decoder's embedding: an id beyond it makes the runtime fail, or on some
 * devices read memory beside the table. Pure.
 */
import type { Graph } from './graph.ts';

/** Nodes that take rows of their first input by the indices of their second. */
const GATHERS = new Set(['Gather', 'GatherBlockQuantized']);
/** Nodes that pass ids on. */
const PASSING = new Set(['Cast', 'Identity']);

/**
 * Rows of the smallest table that the ids select from.
 * @param ids name of the input with the ids
 * @returns undefined if no node selects rows of a constant by the ids
 */
export function embeddingRows(graph: Graph, ids: string): number | undefined {
  const names = new Set([ids]);
  let least: number | undefined;
  // The nodes of a graph are in the order of their use.
  for (const { operator, inputs, outputs } of graph.nodes) {
    const [data = '', indices = ''] = inputs;
    if (PASSING.has(operator) && names.has(data) && outputs[0] !== undefined) names.add(outputs[0]);
    if (!GATHERS.has(operator) || !names.has(indices)) continue;
    const rows = graph.constantShape(data)?.[0];
    if (rows !== undefined && rows > 0) least = Math.min(rows, least ?? rows);
  }
  return least;
}
