/** Facts about the nodes of a grammar that the automaton needs at each step, computed at first use. Pure. */
import type { CharAutomaton, GrammarNode, Item, NodeId, Program } from '../../program.ts';
import { type ArrayPlace, arrayRest, shortestLengths } from '../../shortest.ts';
import { bytesOfLiteral, type Spelling, shortestInside } from '../../spelling.ts';
import { shortestWay } from '../bytes/char-bytes.ts';
import { ObjectFacts } from '../names/object-facts.ts';

type ArrayNode = Extract<GrammarNode, { kind: 'array' }>;
const NOTHING: GrammarNode = { kind: 'nothing' };

export class Facts {
  readonly nodes: readonly GrammarNode[];
  /** Bytes of the shortest text of each node. */
  readonly lengths: Float64Array;
  readonly #anyOrder: boolean;
  readonly #literals: (Uint8Array | undefined)[] = [];
  readonly #objects: (ObjectFacts | undefined)[] = [];
  /** The objects that texts have had so far: few of many nodes. */
  readonly #used: ObjectFacts[] = [];
  readonly #suffixes: (Float64Array | undefined)[] = [];
  readonly #inside = { raw: new Map<CharAutomaton, Float64Array>(), json: new Map<CharAutomaton, Float64Array>() };
  readonly #through = { raw: new Map<CharAutomaton, Float64Array>(), json: new Map<CharAutomaton, Float64Array>() };
  readonly #finite = new Map<CharAutomaton, Uint8Array>();
  /** By the node and the place in it; only of places among the first items. */
  readonly #rests = new Map<ArrayNode, Map<string, number>>();
  readonly #lengthOf = (id: NodeId): number => this.lengthOf(id);

  constructor(program: Program) {
    this.nodes = program.nodes;
    this.lengths = shortestLengths(program);
    this.#anyOrder = program.anyOrder === true;
  }

  nodeAt(id: NodeId): GrammarNode {
    return this.nodes[id] ?? NOTHING;
  }

  lengthOf(id: NodeId): number {
    return this.lengths[id] ?? Number.POSITIVE_INFINITY;
  }

  /** True if a finite text matches the node. */
  exists(id: NodeId): boolean {
    return this.lengthOf(id) !== Number.POSITIVE_INFINITY;
  }

  literal(id: NodeId, text: string): Uint8Array {
    const known = this.#literals[id];
    if (known) return known;
    const bytes = bytesOfLiteral(text);
    this.#literals[id] = bytes;
    return bytes;
  }

  object(id: NodeId, node: Extract<GrammarNode, { kind: 'object' }>): ObjectFacts {
    const known = this.#objects[id];
    if (known) return known;
    const object = new ObjectFacts(node, this.lengths, this.#anyOrder);
    this.#objects[id] = object;
    this.#used.push(object);
    return object;
  }

  /** Bytes of memory that grow while the grammar is used, about. */
  get bytes(): number {
    return this.#used.reduce((sum, object) => sum + object.bytes, 0);
  }

  /** Bytes of the items of a sequence from an index on. */
  suffix(id: NodeId, items: readonly NodeId[], from: number): number {
    const known = this.#suffixes[id];
    if (known) return known[from] ?? 0;
    const sums = new Float64Array(items.length + 1);
    for (let at = items.length - 1; at >= 0; at -= 1) sums[at] = (sums[at + 1] ?? 0) + this.lengthOf(items[at] ?? 0);
    this.#suffixes[id] = sums;
    return sums[from] ?? 0;
  }

  /** Bytes from each state of an automaton to an accepting one. */
  inside(automaton: CharAutomaton, spelling: Spelling): Float64Array {
    const known = this.#inside[spelling].get(automaton);
    if (known) return known;
    const lengths = shortestInside(automaton, spelling);
    this.#inside[spelling].set(automaton, lengths);
    return lengths;
  }

  /** Bytes from each state of an automaton through at least one character to an accepting one. */
  through(automaton: CharAutomaton, spelling: Spelling): Float64Array {
    const known = this.#through[spelling].get(automaton);
    if (known) return known;
    const inside = this.inside(automaton, spelling);
    const lengths = Float64Array.from(automaton.edges, (edges, state) => {
      const length = inside[state] ?? Number.POSITIVE_INFINITY;
      return length > 0 ? length : (shortestWay(0, edges, inside, spelling)?.length ?? Number.POSITIVE_INFINITY);
    });
    this.#through[spelling].set(automaton, lengths);
    return lengths;
  }

  /** Bytes from behind `count` items, of which `matches` match, to the end of an array with `least` more. */
  arrayRest(node: ArrayNode, count: number, matches: number, least = 0): number {
    const place: ArrayPlace = { count, matches, least };
    if (count >= node.prefix.length) return arrayRest(node, place, this.#lengthOf);
    const rests = this.#rests.get(node) ?? new Map<string, number>();
    this.#rests.set(node, rests);
    const key = `${count} ${matches} ${least}`;
    const rest = rests.get(key) ?? arrayRest(node, place, this.#lengthOf);
    rests.set(key, rest);
    return rest;
  }

  /** Flags of the states from which an automaton accepts finitely many texts. */
  finite(automaton: CharAutomaton): Uint8Array {
    const known = this.#finite.get(automaton);
    if (known) return known;
    const flags = finiteStates(automaton);
    this.#finite.set(automaton, flags);
    return flags;
  }
}

/** The states that no cycle can be reached from: repeatedly those whose targets are all finite. */
function finiteStates({ edges }: CharAutomaton): Uint8Array {
  const flags = new Uint8Array(edges.length);
  const sources: number[][] = edges.map(() => []);
  const left = edges.map((ranges) => ranges.length / 3);
  for (const [state, ranges] of edges.entries())
    for (let at = 2; at < ranges.length; at += 3) sources[ranges[at] ?? 0]?.push(state);
  const queue = left.flatMap((count, state) => (count === 0 ? [state] : []));
  for (const state of queue) {
    flags[state] = 1;
    for (const source of sources[state] ?? []) {
      left[source] = (left[source] ?? 0) - 1;
      if (left[source] === 0) queue.push(source);
    }
  }
  return flags;
}

/** The item at an index of an array; undefined if there is none. */
export const itemAt = ({ prefix, rest, max = Number.POSITIVE_INFINITY }: ArrayNode, index: number): Item | undefined =>
  index < max ? (prefix[index] ?? rest) : undefined;
