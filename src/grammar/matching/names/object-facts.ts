/** The members that an object has so far, and those that may follow. Pure. */
import type { GrammarNode } from '../../program.ts';
import { memberLength, nameLength, withRequired } from '../../shortest.ts';
import { NameTrie } from './name-trie.ts';

type ObjectNode = Extract<GrammarNode, { kind: 'object' }>;

/** The members of an object up to a place in it. */
export interface Seen {
  readonly id: number;
  /** Members so far; above the limits of the node they are not counted. */
  readonly count: number;
  /** Flags of the listed members so far. */
  readonly has: Uint8Array;
  /** Number of listed members that may follow, before each place in the order of the trie. */
  readonly open: Int32Array;
  /** Listed members that must follow. */
  readonly needed: ReadonlySet<number>;
  /** A member of a group may follow. */
  readonly groups: boolean;
  /** Some member may follow. */
  readonly addable: boolean;
  /** The object may end. */
  readonly closable: boolean;
  /** Bytes of the members that must follow, each with a comma. */
  readonly rest: number;
}

/** Bytes of `Seen` besides the flag and the number for each member. */
const SEEN_BYTES = 400;

export class ObjectFacts {
  readonly node: ObjectNode;
  readonly names: NameTrie;
  readonly #lengths: Float64Array;
  /** Bytes of the shortest text of each listed member. */
  readonly #memberLengths: Float64Array;
  /** No listed member requires others. */
  readonly #areFree: boolean;
  readonly #anyOrder: boolean;
  readonly #seen: Seen[] = [];
  readonly #ids = new Map<string, number>();
  /** Members with one more, by the id before and the listed member. */
  readonly #after = new Map<number, Seen>();
  readonly #required: (readonly number[] | undefined)[] = [];
  /** Groups whose values exist. */
  readonly groups: readonly number[];
  readonly #groupLength: number;
  /** Members are counted up to this number. */
  readonly #counted: number;

  /**
   * @param lengths shortest lengths of all nodes
   * @param anyOrder listed members may come in any order; otherwise in the order of the list
   */
  constructor(node: ObjectNode, lengths: Float64Array, anyOrder: boolean) {
    this.node = node;
    this.#lengths = lengths;
    this.#anyOrder = anyOrder;
    this.names = new NameTrie(node.members.map(({ name }) => name));
    const { members } = node;
    this.#memberLengths = Float64Array.from(members, ({ name, value }) => memberLength(name, lengths[value] ?? 0));
    this.#areFree = members.every(({ requires }) => requires === undefined);
    this.groups = node.others.flatMap(({ value }, index) => (Number.isFinite(lengths[value]) ? [index] : []));
    const groupLengths = this.groups.map((index) => this.groupLength(index));
    this.#groupLength = Math.min(Number.POSITIVE_INFINITY, ...groupLengths);
    this.#counted = Math.max(node.min, node.max ?? 0);
    this.#add(new Uint8Array(node.members.length), 0);
  }

  /** Bytes of memory of the members up to all places, about. */
  get bytes(): number {
    return this.#seen.length * (SEEN_BYTES + 5 * this.node.members.length);
  }

  /** The members at the beginning. */
  get start(): Seen {
    return this.seenAt(0);
  }

  seenAt(id: number): Seen {
    const seen = this.#seen[id];
    if (!seen) throw new RangeError(`An object has no members ${id}`);
    return seen;
  }

  /** The members after a listed one. */
  with(seen: Seen, member: number): Seen {
    const key = seen.id * this.node.members.length + member;
    const known = this.#after.get(key);
    if (known) return known;
    const has = seen.has.slice();
    has[member] = 1;
    const after = this.#add(has, this.#countAfter(seen));
    this.#after.set(key, after);
    return after;
  }

  /** The members after one of a group. */
  withOther(seen: Seen): Seen {
    return this.#counted === 0 ? seen : this.#add(seen.has, this.#countAfter(seen));
  }

  /** The same members of another object of this node. */
  adopt({ has, count }: Seen): Seen {
    return this.#add(has, count);
  }

  #countAfter({ count }: Seen): number {
    return Math.min(this.#counted, count + 1);
  }

  /** True if a listed member below a node of the trie may follow. */
  isOpen(seen: Seen, trieNode: number): boolean {
    const [first, last] = this.names.rangeOf(trieNode);
    return (seen.open[last] ?? 0) > (seen.open[first] ?? 0);
  }

  /** A listed member below a node of the trie that may follow: one that must, if there is one; or -1. */
  target(seen: Seen, trieNode: number): number {
    const [first, last] = this.names.rangeOf(trieNode);
    let found = -1;
    for (let place = first; place < last; place += 1) {
      if ((seen.open[place + 1] ?? 0) === (seen.open[place] ?? 0)) continue;
      const member = this.names.order[place] ?? -1;
      if (seen.needed.has(member)) return member;
      if (found < 0) found = member;
    }
    return found;
  }

  lengthOf(member: number): number {
    return this.#memberLengths[member] ?? Number.POSITIVE_INFINITY;
  }

  /** Bytes of the shortest member of a group. */
  groupLength(group: number): number {
    const other = this.node.others[group];
    return other ? nameLength(other.names) + 1 + (this.#lengths[other.value] ?? 0) : Number.POSITIVE_INFINITY;
  }

  #add(has: Uint8Array, count: number): Seen {
    const key = `${String.fromCharCode(...pack(has))}:${count}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return this.seenAt(known);
    const id = this.#seen.length;
    const seen = { id, count, has, ...this.#facts(has, count) };
    this.#ids.set(key, id);
    this.#seen.push(seen);
    return seen;
  }

  #facts(has: Uint8Array, count: number): Omit<Seen, 'id' | 'count' | 'has'> {
    const { members, min, max = Number.POSITIVE_INFINITY } = this.node;
    const slots = max - count;
    const needed = this.#neededMembers(has);
    const openTo = this.#openMembers(has, needed, slots - needed.size);
    const reaches = this.#reach(min - count - 1, has);
    const withRoom = needed.size < slots;
    const groups = this.groups.length > 0 && withRoom && (this.#anyOrder || needed.size === 0);
    const open = new Int32Array(members.length + 1);
    let sum = 0;
    for (const [place, member] of this.names.order.entries()) {
      if (openTo(member) && reaches(member)) sum += 1;
      open[place + 1] = sum;
    }
    return {
      open,
      needed,
      groups,
      addable: groups || sum > 0,
      closable: needed.size === 0 && count >= min,
      rest: this.#rest(has, needed, min - count),
    };
  }

  /** The listed members that must follow. */
  #neededMembers(has: Uint8Array): Set<number> {
    const { members } = this.node;
    const needed = new Set<number>();
    if (this.#areFree) {
      for (const [index, { required }] of members.entries()) if (required && has[index] !== 1) needed.add(index);
      return needed;
    }
    const present = new Set(members.flatMap(({ required }, index) => (required || has[index] === 1 ? [index] : [])));
    for (const index of withRequired(members, present)) if (has[index] !== 1) needed.add(index);
    return needed;
  }

  /**
   * Tells which listed members may follow: the others that they require must still fit, and in the order of
   * the list no needed member is skipped.
   * @param spare members that may follow besides the needed ones
   */
  #openMembers(has: Uint8Array, needed: ReadonlySet<number>, spare: number): (member: number) => boolean {
    const { members } = this.node;
    const last = this.#anyOrder ? -1 : has.lastIndexOf(1);
    let firstNeeded = members.length;
    if (!this.#anyOrder) for (const member of needed) firstNeeded = Math.min(firstNeeded, member);
    return (member) => {
      if (has[member] === 1 || member < last || member > firstNeeded) return false;
      const listed = members[member];
      if (!listed || !Number.isFinite(this.#lengths[listed.value])) return false;
      if (!listed.requires) return needed.has(member) || spare > 0;
      const all = this.#withRequired(member);
      const added = all.filter((one) => has[one] !== 1 && !needed.has(one));
      if (added.length > spare) return false;
      return this.#anyOrder || all.every((one) => one >= member || has[one] === 1);
    };
  }

  /** A listed member and all members that it requires. */
  #withRequired(member: number): readonly number[] {
    const known = this.#required[member];
    if (known) return known;
    const all = [...withRequired(this.node.members, new Set([member]))];
    this.#required[member] = all;
    return all;
  }

  /** Tells if `missing` more members can follow a member. */
  #reach(missing: number, has: Uint8Array): (member: number) => boolean {
    if (missing <= 0 || this.groups.length > 0) return () => true;
    const isFree = this.node.members.map(
      ({ value, requires = [] }, index) =>
        has[index] !== 1 && requires.length === 0 && Number.isFinite(this.#lengths[value]),
    );
    /** The free members from each one on. */
    const from = new Int32Array(isFree.length + 1);
    for (let at = isFree.length - 1; at >= 0; at -= 1) from[at] = (from[at + 1] ?? 0) + (isFree[at] ? 1 : 0);
    if (!this.#anyOrder) return (member) => (from[member + 1] ?? 0) >= missing;
    return (member) => (from[0] ?? 0) - (isFree[member] ? 1 : 0) >= missing;
  }

  #rest(has: Uint8Array, needed: ReadonlySet<number>, missing: number): number {
    let sum = 0;
    for (const member of needed) sum += this.lengthOf(member) + 1;
    const fill = missing - needed.size;
    if (fill <= 0) return sum;
    const spare = this.node.members.flatMap(({ requires = [] }, index) =>
      has[index] === 1 || needed.has(index) || requires.length > 0 ? [] : [this.lengthOf(index)],
    );
    const lengths = spare.sort((a, b) => a - b);
    for (let at = 0; at < fill; at += 1)
      sum += Math.min(lengths[at] ?? Number.POSITIVE_INFINITY, this.#groupLength) + 1;
    return sum;
  }
}

/** Flags as units of 16 bits, for a key. */
function pack(flags: Uint8Array): number[] {
  const units: number[] = [];
  for (const [index, flag] of flags.entries()) units[index >> 4] = (units[index >> 4] ?? 0) | (flag << (index & 15));
  return units;
}
