/** The shortest text of each node of a grammar, in bytes. Pure. */
import type { GrammarNode, Item, Member, NodeId, Program } from './program.ts';
import { lengthOfLiteral, shortestInside } from './spelling.ts';

const IMPOSSIBLE = Number.POSITIVE_INFINITY;

type ArrayNode = Extract<GrammarNode, { kind: 'array' }>;

/**
 * Bytes of the shortest text of each node; Infinity for a node that no finite text matches. Rule: Knuth's
 * generalization of Dijkstra's algorithm, as a fixed point; each round settles at least one node.
 */
export function shortestLengths({ nodes }: Pick<Program, 'nodes'>): Float64Array {
  const lengths = new Float64Array(nodes.length).fill(IMPOSSIBLE);
  const users = usersOf(nodes);
  const queue = nodes.map((_, id) => id);
  const queued = new Uint8Array(nodes.length).fill(1);
  for (let at = 0; at < queue.length; at += 1) {
    const id = queue[at] ?? 0;
    const node = nodes[id];
    queued[id] = 0;
    const length = node ? lengthOf(node, lengths) : IMPOSSIBLE;
    if (length >= (lengths[id] ?? 0)) continue;
    lengths[id] = length;
    for (const user of users[id] ?? []) {
      if (queued[user]) continue;
      queued[user] = 1;
      queue.push(user);
    }
  }
  return lengths;
}

/** The nodes that refer to each node. */
function usersOf(nodes: readonly GrammarNode[]): NodeId[][] {
  const users: NodeId[][] = nodes.map(() => []);
  for (const [id, node] of nodes.entries()) for (const child of childrenOf(node)) users[child]?.push(id);
  return users;
}

/** The nodes that a node refers to. */
export function childrenOf(node: GrammarNode): readonly NodeId[] {
  switch (node.kind) {
    case 'sequence':
    case 'choice':
      return node.items;
    case 'repeat':
      return [node.item];
    case 'array':
      return [...node.prefix, ...(node.rest ? [node.rest] : [])].flatMap(valuesOf);
    case 'object':
      return [...node.members.map(({ value }) => value), ...node.others.map(({ value }) => value)];
    default:
      return [];
  }
}

const valuesOf = ({ value, match }: Item): readonly NodeId[] => (match === undefined ? [value] : [value, match]);

function lengthOf(node: GrammarNode, lengths: Float64Array): number {
  const of = (id: NodeId): number => lengths[id] ?? IMPOSSIBLE;
  switch (node.kind) {
    case 'nothing':
      return IMPOSSIBLE;
    case 'literal':
      return lengthOfLiteral(node.text);
    case 'token':
      return 1;
    case 'chars':
      return shortestInside(node.automaton, 'raw')[0] ?? IMPOSSIBLE;
    case 'string':
      return 2 + (shortestInside(node.automaton, 'json')[0] ?? IMPOSSIBLE);
    case 'text':
      return 2 + node.min;
    case 'sequence':
      return node.items.reduce((sum, id) => sum + of(id), 0);
    case 'choice':
      return node.items.reduce((least, id) => Math.min(least, of(id)), IMPOSSIBLE);
    case 'repeat':
      return node.min === 0 ? 0 : node.min * of(node.item);
    case 'array':
      return arrayLength(node, of);
    case 'object':
      return objectLength(node, of);
  }
}

type Length = (id: NodeId) => number;

function arrayLength(node: ArrayNode, of: Length): number {
  const least = Math.max(node.min, node.minMatches);
  return least === 0 ? 2 : arrayRest(node, { count: 0, matches: 0, least }, of);
}

/** A place in an array. */
export interface ArrayPlace {
  /** Items so far, and those of them that match. */
  readonly count: number;
  readonly matches: number;
  /** Items that must follow at least. */
  readonly least: number;
}

/**
 * Bytes from a place in an array to its end, with a comma before each item. More items than necessary are
 * shorter only if one of the first items, later in the list, can match.
 */
export function arrayRest(node: ArrayNode, { count, matches, least }: ArrayPlace, of: Length): number {
  const missing = Math.max(0, node.minMatches - matches);
  const fewest = Math.max(node.min - count, missing, least);
  const spare = missing === 0 ? 0 : Math.max(0, node.prefix.length - count);
  let best = IMPOSSIBLE;
  for (let items = fewest; items <= fewest + spare; items += 1)
    best = Math.min(best, lengthOfItems(node, { count, items, missing }, of));
  return best;
}

/** The items that an array has, those that are added, and those of them that must match. */
interface Added {
  readonly count: number;
  readonly items: number;
  readonly missing: number;
}

/** Bytes of the added items with a comma before each, and of the bracket. The items of `rest` are alike. */
function lengthOfItems({ prefix, rest, max = IMPOSSIBLE }: ArrayNode, { count, items, missing }: Added, of: Length) {
  const first = prefix.slice(count, count + items);
  const more = items - first.length;
  if (more > 0 && (!rest || count + items > max)) return IMPOSSIBLE;
  let sum = 1 + items + more * (more > 0 && rest ? of(rest.value) : 0);
  for (const { value } of first) sum += of(value);
  if (missing === 0 || sum === IMPOSSIBLE) return sum;
  const extra = (item: Item): number => (item.match === undefined ? IMPOSSIBLE : of(item.match) - of(item.value));
  const extras = first.map(extra).sort((a, b) => a - b);
  const extraOfRest = more > 0 && rest ? extra(rest) : IMPOSSIBLE;
  let [left, at] = [missing, 0];
  for (; left > 0 && (extras[at] ?? IMPOSSIBLE) < extraOfRest; at += 1, left -= 1) sum += extras[at] ?? 0;
  const alike = extraOfRest === IMPOSSIBLE ? 0 : Math.min(left, more);
  if (alike > 0) sum += alike * extraOfRest;
  for (left -= alike; left > 0; at += 1, left -= 1) sum += extras[at] ?? IMPOSSIBLE;
  return sum;
}

/** Bytes of a member with its name and the colon. */
export const memberLength = (name: string, value: number): number => lengthOfLiteral(JSON.stringify(name)) + 1 + value;

/**
 * Shortest object: the required members, those that they require, and the shortest of the others up to the
 * least number of members.
 */
function objectLength(node: Extract<GrammarNode, { kind: 'object' }>, of: Length): number {
  const { members, others, min, max = IMPOSSIBLE } = node;
  const needed = withRequired(members, new Set(members.flatMap(({ required }, index) => (required ? [index] : []))));
  const lengthAt = (index: number): number => {
    const member = members[index];
    return member ? memberLength(member.name, of(member.value)) : IMPOSSIBLE;
  };
  let sum = 1;
  for (const index of needed) sum += lengthAt(index) + 1;
  let count = needed.size;
  if (count < min) {
    const spare = members.map((_, index) => index).filter((index) => !needed.has(index));
    const closed = spare.filter((index) => (members[index]?.requires ?? []).every((other) => needed.has(other)));
    const lengths = closed.map(lengthAt).sort((a, b) => a - b);
    const group = Math.min(IMPOSSIBLE, ...others.map(({ names, value }) => nameLength(names) + 1 + of(value)));
    for (; count < min; count += 1) sum += Math.min(lengths.shift() ?? IMPOSSIBLE, group) + 1;
  }
  if (count > max) return IMPOSSIBLE;
  return Math.max(2, sum);
}

/** Bytes of the shortest name of a group, with its quotes. */
export const nameLength = (names: Parameters<typeof shortestInside>[0] | undefined): number =>
  names ? 2 + (shortestInside(names, 'json')[0] ?? IMPOSSIBLE) : 2;

/** The members that these members require, directly or through others, and these members. */
export function withRequired(members: readonly Member[], start: ReadonlySet<number>): Set<number> {
  const all = new Set(start);
  for (const index of all) for (const other of members[index]?.requires ?? []) all.add(other);
  return all;
}
