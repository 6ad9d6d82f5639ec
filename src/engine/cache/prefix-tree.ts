/**
 * Which ids are in which rows of the KV cache: a radix tree over ids. The time of a lookup is proportional to
 * the ids of the prompt, and not to the number of rows. Pure bookkeeping.
 */

/** A row, and the number of first ids that it has in common with a prompt. */
export interface Match {
  readonly row: number;
  readonly length: number;
}

/** The ids of an edge start with room for this many. */
const LEAST_ROOM = 16;

/** A node, and the edge that leads to it. */
class Node {
  parent: Node | undefined;
  /** Number of ids before the edge. */
  start: number;
  /** The ids of the edge; the first `length` are valid. */
  ids: Int32Array;
  length: number;
  /** By the first id of their edges. */
  readonly children = new Map<number, Node>();
  /** Rows whose ids end on the edge, and their lengths: greater than `start`, at most `end`. */
  readonly ends = new Map<number, number>();

  constructor(parent: Node | undefined, start: number, ids: Int32Array) {
    this.parent = parent;
    this.start = start;
    this.ids = ids;
    this.length = ids.length;
  }

  /** Number of ids up to the end of the edge. */
  get end(): number {
    return this.start + this.length;
  }

  /** True if a row ends on the edge or below it. */
  get used(): boolean {
    return this.ends.size > 0 || this.children.size > 0;
  }

  /** Number of ids of the edge, from index `from`, that are equal to the ids from `at` on. */
  common(from: number, ids: ArrayLike<number>, at: number): number {
    const most = Math.min(this.length - from, ids.length - at);
    const own = this.ids;
    let count = 0;
    while (count < most && own[from + count] === ids[at + count]) count += 1;
    return count;
  }

  /** Adds the ids from index `from` on to the edge. */
  extend(ids: ArrayLike<number>, from: number): void {
    const length = this.length + ids.length - from;
    if (length > this.ids.length) {
      const room = new Int32Array(Math.max(LEAST_ROOM, 2 * this.length, length));
      room.set(this.ids.subarray(0, this.length));
      this.ids = room;
    }
    for (let index = from; index < ids.length; index += 1) this.ids[this.length + index - from] = ids[index] ?? 0;
    this.length = length;
  }
}

export class PrefixTree {
  readonly #root = new Node(undefined, 0, new Int32Array(0));
  /** The node on whose edge each row ends; the root for an empty row. */
  readonly #last = new Map<number, Node>();

  /** Number of nodes, the root included. For tests. */
  get size(): number {
    const count = (node: Node): number => [...node.children.values()].reduce((sum, child) => sum + count(child), 1);
    return count(this.#root);
  }

  /** True if no row has ids. */
  get isEmpty(): boolean {
    return !this.#root.used;
  }

  /** Number of ids of a row; 0 for an unknown row. */
  length(row: number): number {
    return this.#last.get(row)?.ends.get(row) ?? 0;
  }

  /** Adds ids to the end of a row. */
  append(row: number, ids: ArrayLike<number>): void {
    if (ids.length === 0) return;
    let node = this.#last.get(row) ?? this.#root;
    let length = node.ends.get(row) ?? 0;
    node.ends.delete(row);
    let done = 0;
    for (;;) {
      const common = node.common(length - node.start, ids, done);
      done += common;
      length += common;
      if (done === ids.length) break;
      node = this.#step(node, length, ids, done);
    }
    node.ends.set(row, length);
    this.#last.set(row, node);
  }

  /** Keeps the first `length` ids of a row. */
  truncate(row: number, length: number): void {
    const from = this.#last.get(row);
    const before = from?.ends.get(row);
    if (!from || before === undefined || length >= before) return;
    from.ends.delete(row);
    let node = from;
    while (node.parent && node.start >= length) node = node.parent;
    if (length > 0) {
      node.ends.set(row, length);
      this.#last.set(row, node);
    } else this.#last.delete(row);
    this.#tidy(from);
  }

  /** Makes the ids of a row the first `length` ids of another one. */
  copy({ row: from, length }: Match, to: number): void {
    this.truncate(to, 0);
    let node = this.#last.get(from);
    while (node?.parent && node.start >= length) node = node.parent;
    if (!node || length === 0) return;
    node.ends.set(to, length);
    this.#last.set(to, node);
  }

  /** True if another row begins with all ids of this one. An empty row: true. */
  isCovered(row: number): boolean {
    const node = this.#last.get(row);
    const length = node?.ends.get(row);
    if (!node || length === undefined) return true;
    if (node.children.size > 0) return true;
    for (const [other, end] of node.ends) if (other !== row && end >= length) return true;
    return false;
  }

  /** The rows that have ids in common with a prompt, the longest common prefix first. */
  *matches(prompt: ArrayLike<number>): Generator<Match, void, void> {
    let node = this.#root;
    let depth = 0;
    for (let next = node.children.get(prompt[0] ?? -1); next; ) {
      node = next;
      depth += node.common(0, prompt, depth);
      next = depth === node.end ? node.children.get(prompt[depth] ?? -1) : undefined;
    }
    for (let below: Node | undefined; depth > 0; ) {
      yield* rowsAt(node, depth, below);
      below = node;
      depth = node.start;
      node = node.parent ?? node;
    }
  }

  /** The node for the id at `done`, which does not follow the first `length` ids of the path on this edge. */
  #step(node: Node, length: number, ids: ArrayLike<number>, done: number): Node {
    const place = length < node.end ? this.#end(node, length) : node;
    const known = place.children.get(ids[done] ?? 0);
    if (known) return known;
    if (place.parent && place.children.size === 0) {
      place.extend(ids, done);
      return place;
    }
    const child = new Node(
      place,
      length,
      Int32Array.from({ length: ids.length - done }, (_, at) => ids[done + at] ?? 0),
    );
    place.children.set(ids[done] ?? 0, child);
    return child;
  }

  /** Ends an edge after the first `length` ids of its path. The rest becomes a child, if a row has it. */
  #end(node: Node, length: number): Node {
    const { parent, start, ids } = node;
    if (!parent) return node;
    const longest = Math.max(length, ...node.ends.values());
    if (node.children.size === 0 && longest === length) {
      node.length = length - start;
      return node;
    }
    const upper = new Node(parent, start, ids.slice(0, length - start));
    parent.children.set(ids[0] ?? 0, upper);
    upper.children.set(ids[length - start] ?? 0, node);
    node.ids = ids.slice(length - start, node.length);
    node.parent = upper;
    node.start = length;
    node.length = node.ids.length;
    for (const [row, end] of node.ends) if (end <= length) this.#move(row, node, upper);
    return upper;
  }

  /** Removes nodes and ids without rows, from a node upwards, and joins a node with its only child. */
  #tidy(from: Node): void {
    let node = from;
    for (; node.parent && !node.used; node = node.parent) node.parent.children.delete(node.ids[0] ?? 0);
    const [only, second] = node.children.values();
    if (!node.parent || second) return;
    if (!only) {
      node.length = Math.max(...node.ends.values()) - node.start;
      return;
    }
    node.extend(only.ids.subarray(0, only.length), 0);
    node.children.clear();
    for (const [id, child] of only.children) {
      child.parent = node;
      node.children.set(id, child);
    }
    for (const row of only.ends.keys()) this.#move(row, only, node);
  }

  #move(row: number, from: Node, to: Node): void {
    to.ends.set(row, from.ends.get(row) ?? 0);
    from.ends.delete(row);
    this.#last.set(row, to);
  }
}

/** The rows whose common prefix ends at `depth` on the edge of a node, and then those that end before. */
function* rowsAt(node: Node, depth: number, below: Node | undefined): Generator<Match, void, void> {
  for (const child of node.children.values())
    if (child !== below) for (const row of rowsIn(child)) yield { row, length: depth };
  const ends = [...node.ends].map(([row, end]) => ({ row, length: Math.min(end, depth) }));
  yield* ends.sort((a, b) => b.length - a.length);
}

/** The rows that end on the edge of a node or below it. */
function* rowsIn(node: Node): Generator<number, void, void> {
  yield* node.ends.keys();
  for (const child of node.children.values()) yield* rowsIn(child);
}
