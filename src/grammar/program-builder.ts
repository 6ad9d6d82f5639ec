/** Collects the nodes of a grammar. Equal nodes become one. Pure. */
import type { Budget } from './budget.ts';
import { GrammarError } from './grammar-error.ts';
import type { GrammarNode, NodeId, Program } from './program.ts';
import { shortestLengths } from './shortest.ts';

export class ProgramBuilder {
  readonly budget: Budget;
  readonly #nodes: GrammarNode[] = [];
  readonly #known = new Map<string, NodeId>();

  constructor(budget: Budget) {
    this.budget = budget;
  }

  /**
   * Adds a node, or finds an equal one.
   * @throws GrammarError `too_complex`
   */
  add(node: GrammarNode): NodeId {
    const key = JSON.stringify(node);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.budget.states(statesOf(node));
    const id = this.#nodes.push(node) - 1;
    this.#known.set(key, id);
    return id;
  }

  /** A node that `define` gives its content later: for recursion. Until then it accepts nothing. */
  reserve(): NodeId {
    this.budget.states();
    return this.#nodes.push({ kind: 'nothing' }) - 1;
  }

  define(id: NodeId, node: GrammarNode): void {
    this.budget.states(statesOf(node));
    this.#nodes[id] = node;
  }

  /** The node of an id, as it is now. */
  nodeAt(id: NodeId): GrammarNode {
    return this.#nodes[id] ?? { kind: 'nothing' };
  }

  /** True if a finite text matches a node, as the nodes are now. Reads all nodes. */
  exists(id: NodeId): boolean {
    return shortestLengths({ nodes: this.#nodes })[id] !== Number.POSITIVE_INFINITY;
  }

  /**
   * The grammar with this root.
   * @throws GrammarError `unsatisfiable` if no finite text matches
   */
  program(root: NodeId): Program {
    if (!this.exists(root)) throw new GrammarError('unsatisfiable', [], 'allows no finite value');
    return { nodes: this.#nodes, root };
  }
}

/** Nodes and states of a node, as the limit counts them. */
export function statesOf(node: GrammarNode): number {
  switch (node.kind) {
    case 'chars':
    case 'string':
      return node.automaton.accepts.length;
    case 'sequence':
    case 'choice':
      return 1 + node.items.length;
    case 'array':
      return 1 + node.prefix.length;
    case 'object':
      return 1 + node.members.length;
    default:
      return 1;
  }
}
