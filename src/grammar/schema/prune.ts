/** Removes the parts of a recursive grammar that no finite value ends: a model cannot leave them. Pure. */
import { GrammarError } from '../grammar-error.ts';
import type { GrammarNode, Item, NodeId } from '../program.ts';
import type { ProgramBuilder } from '../program-builder.ts';
import { childrenOf, shortestLengths } from '../shortest.ts';

type Ends = (id: NodeId) => boolean;
type ArrayNode = Extract<GrammarNode, { kind: 'array' }>;
type ObjectNode = Extract<GrammarNode, { kind: 'object' }>;

/**
 * The same values, without dead ends.
 * @throws GrammarError `unsatisfiable` if no finite value is left
 */
export function pruned(builder: ProgramBuilder, root: NodeId): NodeId {
  const reached = new Set([root]);
  for (const id of reached) {
    builder.budget.step();
    for (const child of childrenOf(builder.nodeAt(id))) reached.add(child);
  }
  const nodes: GrammarNode[] = Array.from({ length: Math.max(...reached) + 1 }, () => ({ kind: 'nothing' }));
  for (const id of reached) nodes[id] = builder.nodeAt(id);
  const lengths = shortestLengths({ nodes });
  const ends: Ends = (id) => Number.isFinite(lengths[id]);
  if (!ends(root)) throw new GrammarError('unsatisfiable', [], 'accepts no finite value');
  for (const id of reached) {
    const node = builder.nodeAt(id);
    if (ends(id) && !childrenOf(node).every(ends)) builder.define(id, withoutDeadEnds(node, ends));
  }
  return root;
}

function withoutDeadEnds(node: GrammarNode, ends: Ends): GrammarNode {
  switch (node.kind) {
    case 'choice':
      return { ...node, items: node.items.filter(ends) };
    case 'array':
      return shorterArray(node, ends);
    case 'object':
      return smallerObject(node, ends);
    default:
      return node;
  }
}

function shorterArray(node: ArrayNode, ends: Ends): ArrayNode {
  const cut = node.prefix.findIndex(({ value }) => !ends(value));
  const { rest, max, ...others } = node;
  const clean = ({ value, match }: Item): Item => ({ value, ...(match !== undefined && ends(match) && { match }) });
  const prefix = (cut < 0 ? node.prefix : node.prefix.slice(0, cut)).map(clean);
  if (cut >= 0 || !rest || !ends(rest.value)) return { ...others, prefix };
  return { ...others, prefix, rest: clean(rest), ...(max !== undefined && { max }) };
}

function smallerObject(node: ObjectNode, ends: Ends): ObjectNode {
  const kept = new Set(node.members.flatMap(({ value }, index) => (ends(value) ? [index] : [])));
  for (let size = -1; size !== kept.size; ) {
    size = kept.size;
    for (const index of kept) if (node.members[index]?.requires?.some((other) => !kept.has(other))) kept.delete(index);
  }
  const place = new Map([...kept].map((index, at) => [index, at] as const));
  const members = [...kept].flatMap((index) => {
    const member = node.members[index];
    if (!member?.requires) return member ?? [];
    return { ...member, requires: member.requires.flatMap((other) => place.get(other) ?? []) };
  });
  return { ...node, members, others: node.others.filter(({ value }) => ends(value)) };
}
