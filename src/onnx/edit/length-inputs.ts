/**
 * Replaces the attention mask of a decoder by the two lengths that its GroupQueryAttention nodes derive from
 * it, so that no node of a step computes on the host. Leaves a graph in which anything else reads the mask
 * unchanged. Pure.
 */
import { type Graph, type Node, nameOf, type ParsedModel, tensorInfoOf } from '../graph.ts';
import type { Field } from '../protobuf.ts';
import { GRAPH, INT32, INT64 } from '../types.ts';
import { dimensionsOf, type GraphEdit, isEditable, writeInput, writeRenamed } from './graph-edit.ts';
import { isLastPositions, isLongest } from './mask-lengths.ts';

/** Name of the input int32 `[rows]`: the position of the last token of each row. */
export const LAST_POSITIONS = 'seqlens_k';
/** Name of the input int32 `[1]`: tokens in the longest row. */
export const LONGEST = 'total_sequence_length';

/** Indexes of these two inputs of GroupQueryAttention. */
const LAST_AT = 5;
const LONGEST_AT = 6;

/** The part of a graph that the edit replaces. */
interface Replaced {
  readonly attention: ReadonlySet<Field>;
  /** The declaration of the mask. */
  readonly mask: Field;
  readonly last: string;
  readonly longest: string;
  readonly unread: Unread;
}

/** The parts of a graph that no node reads any more. */
interface Unread {
  /** Nodes and initializers. */
  readonly fields: ReadonlySet<Field>;
  readonly values: ReadonlySet<string>;
}

/**
 * Replaces the mask by the inputs `seqlens_k` and `total_sequence_length`. If another value of the graph has
 * such a name, underscores are appended.
 * @param mask name of the input int64 `[rows, width]`.
 * @returns undefined if the nodes of attention do not share two lengths that are derived from the mask alone,
 * or if another node reads the mask.
 */
export function lengthInputsEdit({ root, graph }: ParsedModel, mask = 'attention_mask'): GraphEdit | undefined {
  const replaced = isEditable(root) ? find(graph, mask) : undefined;
  return replaced && edit(graph, replaced);
}

function find(graph: Graph, mask: string): Replaced | undefined {
  const attention = graph.nodes.filter(
    ({ domain, operator }) => domain === 'com.microsoft' && operator === 'GroupQueryAttention',
  );
  const last = shared(attention, LAST_AT);
  const longest = shared(attention, LONGEST_AT);
  const declared = graph.message.all(GRAPH.input).find((field) => nameOf(graph.message, field) === mask);
  const tensor = declared && tensorInfoOf(graph.message, declared);
  if (!last || !longest || !declared || tensor?.type !== INT64 || tensor.shape.length !== 2) return undefined;
  if (!isLastPositions(graph, mask, last) || !isLongest(graph, mask, longest)) return undefined;
  const unread = unreadWithout(graph, [last, longest], attention.length);
  if (!unread.values.has(mask)) return undefined;
  return { attention: new Set(attention.map(({ field }) => field)), mask: declared, last, longest, unread };
}

/** The input that all nodes have in common; undefined if there is none. */
function shared(nodes: readonly Node[], at: number): string | undefined {
  const [name = '', ...others] = new Set(nodes.map(({ inputs }) => inputs[at] ?? ''));
  return name !== '' && others.length === 0 ? name : undefined;
}

/** The parts that no node reads after each of these values has lost `readers` readers. */
function unreadWithout(graph: Graph, ends: readonly string[], readers: number): Unread {
  const left = new Map<string, number>();
  const unread = { fields: new Set<Field>(), values: new Set<string>() };
  const drop = (name: string, count: number): void => {
    const rest = (left.get(name) ?? graph.readers(name)) - count;
    left.set(name, rest);
    if (name === '' || rest > 0) return;
    unread.values.add(name);
    const initializer = graph.initializer(name);
    if (initializer) unread.fields.add(initializer);
    const node = graph.producer(name);
    if (!node?.outputs.every((output) => unread.values.has(output))) return;
    unread.fields.add(node.field);
    for (const input of node.inputs) drop(input, 1);
  };
  for (const name of ends) drop(name, readers);
  return unread;
}

function edit(graph: Graph, { attention, mask, last, longest, unread }: Replaced): GraphEdit {
  const { message } = graph;
  const named = (value: string, preferred: string): string => (value === preferred ? value : graph.fresh(preferred));
  const names = new Map([
    [LAST_AT, named(last, LAST_POSITIONS)],
    [LONGEST_AT, named(longest, LONGEST)],
  ]);
  const [rows] = dimensionsOf(message.message(mask));
  const inputs = [
    ...writeInput(names.get(LAST_AT) ?? '', INT32, rows ? [rows] : []),
    ...writeInput(names.get(LONGEST_AT) ?? '', INT32, [1]),
  ];
  const rename = (_: string, index: number, side: string) => (side === 'input' ? names.get(index) : undefined);
  return {
    change: (field) => {
      if (field === mask) return inputs;
      if (attention.has(field)) return writeRenamed(message.message(field), rename);
      return isUnread(graph, field, unread) ? [] : undefined;
    },
  };
}

/** True for a node, a constant or the declaration of a value that nothing reads any more. */
function isUnread({ message }: Graph, field: Field, { fields, values }: Unread): boolean {
  if (field.number === GRAPH.input || field.number === GRAPH.valueInfo) return values.has(nameOf(message, field));
  return fields.has(field);
}
