/**
 * A small decoder that gets the lengths of its rows from an attention mask: embedding, two layers of
 * GroupQueryAttention, projection. A form adds the nodes between mask and attention.
 */

import { Message, writeBytes, writeNumber } from '../../../src/onnx/protobuf.ts';
import { FLOAT32, GRAPH, INT64, MODEL, NODE, TENSOR } from '../../../src/onnx/types.ts';
import { ModelWriter } from '../../../src/onnx/write/model-writer.ts';

export const MASK = 'attention_mask';
export const VOCABULARY = 24;
const [HEADS, HEAD_DIM, LAYERS] = [2, 16, 2];
const HIDDEN = HEADS * HEAD_DIM;

/** The values that the attention of one layer reads. */
export interface Lengths {
  readonly last: string;
  readonly longest: string;
}

export interface Form {
  /** Adds nodes. Returns the values for the layers: one for all, or one for each. */
  readonly lengths: (writer: ModelWriter) => Lengths | readonly Lengths[];
  /** Adds more nodes that read `lengths`, the ids or the mask, and may add to the hidden state [rows, tokens, 32]. */
  readonly more?: (writer: ModelWriter, hidden: string) => string;
  /** Element type and shape of the mask; default int64 `[rows, width]`. */
  readonly mask?: { readonly type: number; readonly shape: readonly (number | string)[] };
  /** Name of the value between the layers. */
  readonly between?: string;
}

/** Numbers of a constant, the same in each call. */
function weights(writer: ModelWriter, name: string, shape: readonly number[]): string {
  const count = shape.reduce((product, size) => product * size, 1);
  const seed = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  return writer.floats(
    name,
    Array.from({ length: count }, (_, at) => Math.sin(1 + seed + at * at * 0.37 + at) / 2),
    shape,
  );
}

/** The ModelProto. */
export function maskedDecoder({ lengths, more, mask, between = 'middle' }: Form): Uint8Array {
  const writer = new ModelWriter();
  writer.input('input_ids', { type: INT64, shape: ['rows', 'tokens'] });
  writer.input(MASK, mask ?? { type: INT64, shape: ['rows', 'width'] });
  const past = { type: FLOAT32, shape: ['rows', 1, 'past', HEAD_DIM] };
  const present = { type: FLOAT32, shape: ['rows', 1, 'total', HEAD_DIM] };
  const made = lengths(writer);
  const all: readonly Lengths[] = 'last' in made ? [made] : made;
  let hidden = writer.node('Gather', [weights(writer, 'embedding', [VOCABULARY, HIDDEN]), 'input_ids']);
  hidden = more?.(writer, hidden) ?? hidden;
  for (let layer = 0; layer < LAYERS; layer++) {
    const { last, longest } = all[layer] ?? all[0]!;
    const project = (name: string, size: number): string =>
      writer.node('MatMul', [hidden, weights(writer, `${layer}.${name}`, [HIDDEN, size])]);
    const pasts = ['key', 'value'].map((part) => writer.input(`past_key_values.${layer}.${part}`, past));
    const presents = ['key', 'value'].map((part) => writer.output(`present.${layer}.${part}`, present));
    const inputs = [project('q', HIDDEN), project('k', HEAD_DIM), project('v', HEAD_DIM), ...pasts, last, longest];
    hidden = writer.node('GroupQueryAttention', inputs, {
      domain: 'com.microsoft',
      attributes: { num_heads: { integer: HEADS }, kv_num_heads: { integer: 1 } },
      outputs: [layer === 0 ? between : 'attended', ...presents],
    });
  }
  writer.node('MatMul', [hidden, weights(writer, 'head', [HIDDEN, VOCABULARY])], { outputs: ['logits'] });
  writer.output('logits', { type: FLOAT32, shape: ['rows', 'tokens', VOCABULARY] });
  return writer.finish();
}

/** A model with other fields of its graph. */
export function withGraph(
  model: Uint8Array,
  change: (graph: Message) => readonly Uint8Array[] | undefined,
): Uint8Array {
  const root = new Message(model);
  return Buffer.concat(
    root.rewrite((field) => {
      const changed = field.number === MODEL.graph ? change(root.message(field)) : undefined;
      return changed && writeBytes(MODEL.graph, changed);
    }),
  );
}

const TENSOR_ATTRIBUTE = 4;

/** The same model with a Constant node instead of each initializer of integers, as some exporters write it. */
export const withConstantNodes = (model: Uint8Array): Uint8Array =>
  withGraph(model, (graph) =>
    graph.rewrite((field) => {
      if (field.number !== GRAPH.initializer) return undefined;
      const tensor = graph.message(field);
      if (tensor.last(TENSOR.type)?.value === FLOAT32) return undefined;
      const value = [...writeBytes(1, 'value'), ...writeBytes(5, [tensor.bytes]), writeNumber(20, TENSOR_ATTRIBUTE)];
      const node = [...writeBytes(NODE.output, tensor.text(tensor.last(TENSOR.name)))];
      node.push(...writeBytes(NODE.operator, 'Constant'), ...writeBytes(NODE.attribute, value));
      return writeBytes(GRAPH.node, node);
    }),
  );

/** The same model with its integers as numbers instead of bytes, as the helpers of the onnx package write them. */
export const withNumbers = (model: Uint8Array): Uint8Array =>
  withGraph(model, (graph) =>
    graph.rewrite((field) => {
      const tensor = field.number === GRAPH.initializer ? graph.message(field) : undefined;
      if (tensor?.last(TENSOR.type)?.value !== INT64) return undefined;
      const numbers = tensor.rewrite((part) => {
        if (part.number !== TENSOR.raw) return undefined;
        const values = new BigInt64Array(Uint8Array.from(tensor.content(part)).buffer);
        return Array.from(values, (value) => writeNumber(TENSOR.int64s, Number(value)));
      });
      return writeBytes(GRAPH.initializer, numbers);
    }),
  );
