/**
 * Builds the ONNX graph of a decoder for a device, with its weights in the files of the checkpoint. Pure.
 *
 * Inputs: `input_ids` int64 `[rows, tokens]`; `seqlens_k` int32 `[rows]`, the position of the last token of
 * each row; `total_sequence_length` int32 `[1]`, tokens in the longest row; `first_logits` int64 `[1]`, the
 * first position that gets logits, counted from the end; the KV cache. Outputs: `logits`
 * `[rows, kept, vocab]` and the updated KV cache, which uses the memory of its input if the caller binds both
 * to it.
 */
import { FIRST_INPUT } from '../onnx/edit/last-logits.ts';
import { LAST_POSITIONS, LONGEST } from '../onnx/edit/length-inputs.ts';
import { addTopLogits } from '../onnx/edit/top-logits.ts';
import { type GraphIo, INT32, INT64 } from '../onnx/types.ts';
import {
  type DecoderSpec,
  type GraphMatrix,
  hasExperts,
  isPlain,
  type LayerSpec,
} from '../protocol/decoder/decoder-spec.ts';
import { addAttention, cacheNames } from './attention.ts';
import { DecoderGraph, type GraphOptions } from './decoder-graph.ts';
import { addExperts } from './experts.ts';
import { headLayout } from './head-layout.ts';
import { addLinear } from './linear.ts';
import { addMlp } from './mlp.ts';
import { addNorm, addSumAndNorm } from './norms.ts';
import { addQuantizedRows } from './quantized/rows.ts';
import { addRotaryTables, type RotaryTables } from './rotary.ts';

/** The inputs and outputs of the graph besides the KV cache. */
export const IDS = 'input_ids';
export const LOGITS = 'logits';

export interface BuildOptions extends GraphOptions {
  /** Maximum number of tokens in a row. */
  readonly positions: number;
  /** Number of best logits of each position in the outputs of `addTopLogits`. Absent: no such outputs. */
  readonly topLogits?: number;
}

/** A graph and the facts about it. */
export interface BuiltDecoder extends GraphIo {
  /** The ModelProto. */
  readonly bytes: Uint8Array;
  /** Names of the outputs of the KV cache. */
  readonly updated: ReadonlySet<string>;
}

/** Builds the graph. @throws RangeError for a place outside of `files`. */
export function buildDecoder(spec: DecoderSpec<GraphMatrix>, options: BuildOptions): BuiltDecoder {
  const graph = new DecoderGraph(options, spec);
  declareInputs(graph, spec);
  const tables = spec.rotaries.map((_, index) => tablesOf(graph, spec, index, options.positions));
  let sum = graph.scaled(embedded(graph, spec), spec.embeddingScale);
  let normed = addNorm(graph, sum, spec.layers[0]?.attentionInNorm, 'layers.0.attention_norm');
  for (const [layer, one] of spec.layers.entries()) {
    const next = spec.layers[layer + 1];
    const nextNorm = next ? next.attentionInNorm : spec.finalNorm;
    ({ sum, normed } = addLayer(graph, { sum, normed }, { spec, one, layer, nextNorm, tables }));
  }
  addHead(graph, normed, spec);
  graph.writer.output(LOGITS, { type: graph.type, shape: ['rows', 'kept', spec.vocabSize] });
  if (options.topLogits !== undefined)
    addTopLogits(graph.writer, { name: LOGITS, type: graph.type, vocabSize: spec.vocabSize }, options.topLogits);
  const updated = declareCacheOutputs(graph, spec);
  return { bytes: graph.writer.finish(), updated, ...graph.writer.io };
}

/** The rows of the embedding for the ids, in the element type of the graph. */
function embedded(graph: DecoderGraph, { embedding }: DecoderSpec<GraphMatrix>): string {
  const name = 'embedding.weight';
  if (!isPlain(embedding)) return addQuantizedRows(graph, IDS, embedding, 'embedding');
  if (graph.choices.widenedTables.includes(embedding.type))
    return graph.node('Gather', [graph.weight(embedding, name), IDS]);
  return graph.cast(graph.node('Gather', [graph.stored(embedding, name), IDS]), embedding.type);
}

function tablesOf(graph: DecoderGraph, spec: DecoderSpec<GraphMatrix>, index: number, positions: number): RotaryTables {
  const rotary = spec.rotaries[index];
  const user = spec.layers.find(({ attention }) => attention.rotary === index)?.attention;
  if (!rotary) throw new RangeError(`There is no rotary embedding ${index}`);
  const columns = user ? headLayout(user, spec).rotaryColumns : rotary.frequencies.length;
  return addRotaryTables(graph, rotary, { positions, columns });
}

interface LayerInputs {
  readonly spec: DecoderSpec<GraphMatrix>;
  readonly one: LayerSpec<GraphMatrix>;
  readonly layer: number;
  readonly nextNorm: LayerSpec<GraphMatrix>['attentionInNorm'];
  readonly tables: readonly RotaryTables[];
}

/** The residual stream and its norm for the next block. */
interface Stream {
  readonly sum: string;
  readonly normed: string;
}

function addLayer(graph: DecoderGraph, { sum, normed }: Stream, inputs: LayerInputs): Stream {
  const { spec, one, layer, nextNorm, tables } = inputs;
  const { attention, mlp, attentionOutNorm, mlpInNorm, mlpOutNorm, residualScale } = one;
  const rotary = attention.rotary === undefined ? undefined : tables[attention.rotary];
  const layout = headLayout(attention, spec);
  const shared = { ids: IDS, lastPositions: LAST_POSITIONS, longest: LONGEST, ...(rotary && { tables: rotary }) };
  const attended = addAttention(graph, normed, { spec: attention, layer, layout }, shared);
  const name = `layers.${layer}`;
  const first = graph.scaled(addNorm(graph, attended, attentionOutNorm, `${name}.attention_out_norm`), residualScale);
  const middle = addSumAndNorm(graph, [sum, first], mlpInNorm, `${name}.mlp_norm`);
  const inner = hasExperts(mlp)
    ? addExperts(graph, middle.normed, mlp, `${name}.mlp`)
    : addMlp(graph, middle.normed, mlp, `${name}.mlp`);
  const second = graph.scaled(addNorm(graph, inner, mlpOutNorm, `${name}.mlp_out_norm`), residualScale);
  const following = layer + 1 === spec.layers.length ? 'final_norm' : `layers.${layer + 1}.attention_norm`;
  return addSumAndNorm(graph, [middle.sum, second], nextNorm, following);
}

/** The logits of the last positions: the other positions are cut off before the largest product. */
function addHead(graph: DecoderGraph, normed: string, spec: DecoderSpec<GraphMatrix>): void {
  const kept = graph.node('Slice', [normed, FIRST_INPUT, graph.integers(Number.MAX_SAFE_INTEGER), graph.integers(1)]);
  const logits = graph.scaled(addLinear(graph, kept, spec.head, 'head'), spec.logitScale);
  graph.capped(logits, spec.logitSoftcap);
  // A recorded run does not contain the copy that an Identity would be.
  graph.writer.renameLast(LOGITS);
}

function declareInputs(graph: DecoderGraph, spec: DecoderSpec<GraphMatrix>): void {
  const { writer } = graph;
  writer.input(IDS, { type: INT64, shape: ['rows', 'tokens'] });
  writer.input(LAST_POSITIONS, { type: INT32, shape: ['rows'] });
  writer.input(LONGEST, { type: INT32, shape: [1] });
  writer.input(FIRST_INPUT, { type: INT64, shape: [1] });
  for (const layer of spec.layers.keys())
    for (const name of cacheNames(layer).past) writer.input(name, cacheType(graph, spec, layer, 'past'));
}

function declareCacheOutputs(graph: DecoderGraph, spec: DecoderSpec<GraphMatrix>): Set<string> {
  const names = new Set<string>();
  for (const layer of spec.layers.keys())
    for (const name of cacheNames(layer).present)
      names.add(graph.writer.output(name, cacheType(graph, spec, layer, 'present')));
  return names;
}

function cacheType(graph: DecoderGraph, spec: DecoderSpec<GraphMatrix>, layer: number, tokens: string) {
  const attention = spec.layers[layer]?.attention;
  if (!attention) throw new RangeError(`There is no layer ${layer}`);
  const { paddedSize } = headLayout(attention, spec);
  return { type: graph.type, shape: ['rows', attention.kvHeads, tokens, paddedSize] };
}
