/**
 * Adds the best logits of each position to a decoder, so that a step copies a few hundred bytes of a row from
 * the device, not all logits. Outputs, for `K` best logits: `top_logits` float32 `[rows, kept, K]`, largest
 * first; `top_ids` int32 `[rows, kept, K]`, their ids; `top_sum` float32 `[rows, kept, 1]`,
 * Σ e^(logit − largest) over all ids. Pure: bytes of a ModelProto in, bytes out.
 *
 * Devices sort long rows slowly: WebGPU with a dispatch for each of more than 100 passes, CUDA with one block
 * of threads for a row. The nodes therefore select the best of each part of a row, and then the best of
 * those.
 */
import { type Graph, nameOf, parseModel, tensorInfoOf } from '../graph.ts';
import { Message, writeBytes } from '../protobuf.ts';
import { BFLOAT16, FLOAT16, FLOAT32, GRAPH, INT32, MODEL, NODE, TENSOR } from '../types.ts';
import { ModelWriter } from '../write/model-writer.ts';
import { isEditable } from './graph-edit.ts';

/** Names of the outputs. */
export const TOP = { logits: 'top_logits', ids: 'top_ids', sum: 'top_sum' } as const;

/** Enough for a top-k of 64: one more logit shows if the 64th has an equal. */
export const TOP_COUNT = 65;

/** Longest part that WebGPU sorts in one dispatch. */
const LONGEST_PART = 2048;
/** Below half of the shortest part, so that each round shortens the list. */
const MAX_COUNT = 512;
/** Lowest version of the standard operators: the axes of ReduceSum are an input from this version on. */
const MIN_OPSET = 13;
/** Pads the last part. */
const LOWEST = -3.4028234663852886e38;

/** The output with the logits `[rows, kept, vocab]`. */
export interface LogitsOutput {
  readonly name: string;
  /** An element type. */
  readonly type: number;
  readonly vocabSize: number;
}

/**
 * Adds the outputs to a model of the runtime.
 * @param model a ModelProto.
 * @param count number of the best logits; a smaller vocabulary has fewer.
 * @returns the changed ModelProto; undefined if the logits are not `[rows, kept, vocab]` in floats with a
 * fixed vocabulary, if a name is in use, or if the version of the operators is too low.
 * @throws Error for bytes that are not a protobuf message.
 */
export function withTopLogits(
  model: Uint8Array,
  { logits = 'logits', count = TOP_COUNT, parsed = parseModel(model) } = {},
): Uint8Array | undefined {
  if (!parsed) return undefined;
  const { root, field, graph } = parsed;
  if (!isEditable(root, MIN_OPSET)) return undefined;
  const output = logitsOutput(graph, logits);
  if (!output) return undefined;
  const writer = new ModelWriter();
  addTopLogits(writer, output, count);
  const added = graphOf(writer.finish());
  if (!added || definedBy(added).some((name) => graph.has(name))) return undefined;
  const pieces = [
    ...graph.message.rewrite(() => undefined),
    ...added.all(GRAPH.node).flatMap((one) => writeBytes(GRAPH.node, [added.content(one)])),
    ...added.all(GRAPH.initializer).flatMap((one) => writeBytes(GRAPH.initializer, [added.content(one)])),
    ...added.all(GRAPH.output).flatMap((one) => writeBytes(GRAPH.output, [added.content(one)])),
  ];
  return Buffer.concat(root.rewrite((one) => (one === field ? writeBytes(MODEL.graph, pieces) : undefined)));
}

function logitsOutput({ message }: Graph, name: string): LogitsOutput | undefined {
  const output = message.all(GRAPH.output).find((field) => nameOf(message, field) === name);
  const info = output && tensorInfoOf(message, output);
  const vocabSize = info?.shape[2] ?? 0;
  if (info?.shape.length !== 3 || vocabSize < 1) return undefined;
  return [FLOAT32, FLOAT16, BFLOAT16].includes(info.type) ? { name, type: info.type, vocabSize } : undefined;
}

function graphOf(model: Uint8Array): Message | undefined {
  const root = new Message(model);
  const field = root.last(MODEL.graph);
  return field && root.message(field);
}

/** The names of all values that a graph defines. */
function definedBy(graph: Message): string[] {
  const outputs = graph.all(GRAPH.node).flatMap((field) => {
    const node = graph.message(field);
    return node.all(NODE.output).map((output) => node.text(output));
  });
  const constants = graph.all(GRAPH.initializer).map((field) => {
    const tensor = graph.message(field);
    return tensor.text(tensor.last(TENSOR.name));
  });
  return [...outputs, ...constants];
}

/**
 * Adds the nodes and the outputs to a graph that is being written. All arithmetic is in float32, in which ids
 * are exact. The Cast of positions needs int64 on the device: WebGPU has it with `enableInt64`, or with graph
 * capture.
 * @throws RangeError for a count below 1 or above 512.
 */
export function addTopLogits(writer: ModelWriter, { name, type, vocabSize }: LogitsOutput, count: number): void {
  if (count < 1 || count > MAX_COUNT) throw new RangeError(`count must be 1 to ${MAX_COUNT}, not ${count}`);
  const nodes = new TopNodes(writer, Math.min(count, vocabSize));
  const logits = type === FLOAT32 ? name : nodes.cast(name, FLOAT32, 'top/float_logits');
  let list: Candidates = { logits, length: vocabSize };
  while (list.length > LONGEST_PART) list = nodes.bestOfParts(list);
  nodes.best(list);
  nodes.sum(logits);
  const shape = (last: number) => ['top_rows', 'top_kept', last];
  writer.output(TOP.logits, { type: FLOAT32, shape: shape(nodes.count) });
  writer.output(TOP.ids, { type: INT32, shape: shape(nodes.count) });
  writer.output(TOP.sum, { type: FLOAT32, shape: shape(1) });
}

/** Values `[rows, kept, length]`: logits, and their ids in float32. Absent ids are the positions. */
interface Candidates {
  readonly logits: string;
  readonly ids?: string;
  readonly length: number;
}

/** Smallest number of equal parts that devices sort fast; undefined if the length has no such divisor. */
function partsOf(length: number): number | undefined {
  const fewest = Math.ceil(length / LONGEST_PART);
  for (let parts = fewest; parts <= 2 * fewest; parts++) if (length % parts === 0) return parts;
  return undefined;
}

class TopNodes {
  readonly count: number;
  readonly #writer: ModelWriter;
  readonly #countName: string;

  constructor(writer: ModelWriter, count: number) {
    this.#writer = writer;
    this.count = count;
    this.#countName = writer.integers(writer.fresh('top/count'), [count]);
  }

  cast(value: string, type: number, name: string): string {
    return this.#node('Cast', [value], [name], { to: { integer: type } });
  }

  /** The best of each part of the list. */
  bestOfParts(list: Candidates): Candidates {
    const parts = partsOf(list.length);
    if (parts === undefined) return this.bestOfParts(this.#padded(list));
    const size = list.length / parts;
    const [logits, positions] = this.#topK(this.#reshaped(list.logits, parts, size));
    const ids =
      list.ids === undefined
        ? this.#numbered(positions, parts, size)
        : this.#gathered(this.#reshaped(list.ids, parts, size), positions, 3);
    const length = parts * this.count;
    return { logits: this.#reshaped(logits, length), ids: this.#reshaped(ids, length), length };
  }

  /** The outputs `top_logits` and `top_ids`. */
  best({ logits, ids }: Candidates): void {
    const [, positions] = this.#topK(logits, TOP.logits);
    this.cast(ids === undefined ? positions : this.#gathered(ids, positions, 2), INT32, TOP.ids);
  }

  /** The output `top_sum`. */
  sum(logits: string): void {
    const axis = this.#integers([2]);
    const largest = this.#node('Slice', [TOP.logits, this.#integers([0]), this.#integers([1]), axis]);
    const powers = this.#node('Exp', [this.#node('Sub', [logits, largest])]);
    this.#node('ReduceSum', [powers, axis], [TOP.sum]);
  }

  /** The list with padding after its last part, so that all parts have the same length. */
  #padded({ logits, ids, length }: Candidates): Candidates {
    const parts = Math.ceil(length / LONGEST_PART);
    const whole = parts * Math.ceil(length / parts);
    const pads = this.#integers([0, 0, 0, 0, 0, whole - length]);
    const pad = (value: string, constant: number): string =>
      this.#node('Pad', [value, pads, this.#writer.floats(this.#writer.fresh('top/pad'), [constant], [])]);
    return { logits: pad(logits, LOWEST), ...(ids !== undefined && { ids: pad(ids, -1) }), length: whole };
  }

  /** Ids of the positions in parts of the vocabulary. */
  #numbered(positions: string, parts: number, size: number): string {
    const starts = Array.from({ length: parts }, (_, part) => part * size);
    const first = this.#writer.floats(this.#writer.fresh('top/first'), starts, [parts, 1]);
    return this.#node('Add', [this.cast(positions, FLOAT32, this.#writer.fresh('top/Cast')), first]);
  }

  #topK(logits: string, values = this.#writer.fresh('top/TopK')): [logits: string, positions: string] {
    const positions = this.#writer.fresh('top/positions');
    this.#node('TopK', [logits, this.#countName], [values, positions]);
    return [values, positions];
  }

  #gathered(values: string, positions: string, axis: number): string {
    return this.#node('GatherElements', [values, positions], undefined, { axis: { integer: axis } });
  }

  /** Another shape of the dimensions after the first two. */
  #reshaped(value: string, ...sizes: readonly number[]): string {
    return this.#node('Reshape', [value, this.#integers([0, 0, ...sizes])]);
  }

  #integers(values: readonly number[]): string {
    return this.#writer.integers(this.#writer.fresh('top/integers'), values);
  }

  #node(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[] = [this.#writer.fresh(`top/${operator}`)],
    attributes: Readonly<Record<string, { readonly integer: number }>> = {},
  ): string {
    return this.#writer.node(operator, inputs, { outputs, attributes });
  }
}
