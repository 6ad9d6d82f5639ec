/**
 * A trie of byte strings, flat in breadth-first order: the children of a node are neighbours, so a walk reads
 * them one after another. Pure.
 */

/** Node 0 is the root. */
export interface ByteTrie {
  /** The last byte of the string of each node. */
  readonly bytes: Uint8Array;
  /** The first child of each node. Its children end where those of the next node begin. */
  readonly children: Int32Array;
  /** The id whose string ends at the node; -1 for none. */
  readonly ids: Int32Array;
  /** Bytes of the longest string. */
  readonly height: number;
}

/** Strings of bytes by id: the string of an id is between its end and that of the id before it. */
export interface ByteStrings {
  readonly bytes: Uint8Array;
  readonly ends: Uint32Array;
}

/** Strings between two rests, in which other work of the thread can run. */
const STRINGS_IN_TURN = 256;
/** Nodes between two rests. */
const NODES_IN_TURN = 8_192;

/**
 * Builds the trie of some ids. Yields about every half a millisecond.
 * @param ids their strings are not empty
 * @param same gets the links between ids of equal strings: the trie has the last of them, and `same[id]` is
 * the one before it, -1 at the first
 */
export function* buildTrie(
  { bytes, ends }: ByteStrings,
  ids: readonly number[],
  same?: Int32Array,
): Generator<void, ByteTrie, void> {
  const tree = new Tree(2 * ids.length);
  for (const [index, id] of ids.entries()) {
    let node = 0;
    for (let at = id === 0 ? 0 : (ends[id - 1] ?? 0); at < (ends[id] ?? 0); at += 1)
      node = tree.child(node, bytes[at] ?? 0);
    if (same) same[id] = tree.ids[node] ?? -1;
    tree.ids[node] = id;
    if (index % STRINGS_IN_TURN === 0) yield;
  }
  return yield* flatten(tree);
}

function* flatten(tree: Tree): Generator<void, ByteTrie, void> {
  const { count } = tree;
  const trie = { bytes: new Uint8Array(count), children: new Int32Array(count + 1), ids: new Int32Array(count) };
  /** The node of the tree for each node of the trie. */
  const order = new Int32Array(count);
  let end = 1;
  let height = 0;
  /** The end of the nodes of one depth. */
  let level = 1;
  for (let at = 0; at < count; at += 1) {
    if (at === level) {
      height += 1;
      level = end;
    }
    const node = order[at] ?? 0;
    trie.bytes[at] = tree.bytes[node] ?? 0;
    trie.ids[at] = tree.ids[node] ?? -1;
    trie.children[at] = end;
    for (let child = tree.children[node] ?? 0; child > 0; child = tree.siblings[child] ?? 0) {
      order[end] = child;
      end += 1;
    }
    if (at % NODES_IN_TURN === 0) yield;
  }
  trie.children[count] = end;
  return { ...trie, height };
}

/** The trie while it grows: linked nodes, and a hash table of (node, byte) → child. Node 0 is the root. */
class Tree {
  count = 1;
  bytes: Uint8Array;
  ids: Int32Array;
  children: Int32Array;
  siblings: Int32Array;
  /** Indices of children, 0 = empty. At most half full. */
  #table: Int32Array;
  #parents: Int32Array;

  /** @param expected number of nodes that fit without a long pause */
  constructor(expected: number) {
    const size = 2 ** Math.max(4, Math.ceil(Math.log2(expected + 1)));
    this.bytes = new Uint8Array(size);
    this.ids = new Int32Array(size).fill(-1);
    this.children = new Int32Array(size);
    this.siblings = new Int32Array(size);
    this.#parents = new Int32Array(size);
    this.#table = new Int32Array(2 * size);
  }

  child(parent: number, byte: number): number {
    const mask = this.#table.length - 1;
    let slot = hash(parent, byte) & mask;
    for (;;) {
      const found = this.#table[slot] ?? 0;
      if (found === 0) break;
      if (this.#parents[found] === parent && this.bytes[found] === byte) return found;
      slot = (slot + 1) & mask;
    }
    if (this.count === this.bytes.length) this.#grow();
    const node = this.count;
    this.count += 1;
    this.bytes[node] = byte;
    this.#parents[node] = parent;
    this.siblings[node] = this.children[parent] ?? 0;
    this.children[parent] = node;
    this.#put(node);
    return node;
  }

  #put(node: number): void {
    const mask = this.#table.length - 1;
    let slot = hash(this.#parents[node] ?? 0, this.bytes[node] ?? 0) & mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    this.#table[slot] = node;
  }

  #grow(): void {
    const size = 2 * this.bytes.length;
    const wider = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const all = new Int32Array(size);
      all.set(old);
      return all;
    };
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes);
    this.bytes = bytes;
    const count = this.ids.length;
    this.ids = wider(this.ids).fill(-1, count);
    this.children = wider(this.children);
    this.siblings = wider(this.siblings);
    this.#parents = wider(this.#parents);
    this.#table = new Int32Array(2 * size);
    for (let node = 1; node < this.count; node += 1) this.#put(node);
  }
}

const hash = (parent: number, byte: number): number => Math.imul(parent * 256 + byte, 0x9e37_79b1) >>> 7;
