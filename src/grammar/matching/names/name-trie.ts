/** The listed names of an object, spelled with their closing quotes, as a trie of bytes. Pure. */
import { bytesOfLiteral } from '../../spelling.ts';

export const ABSENT = -1;

export class NameTrie {
  /** `node * 256 + byte` → node. Node 0 is the root. */
  readonly #children = new Map<number, number>();
  /** The name that ends at a node. */
  readonly #names: number[] = [ABSENT];
  readonly #bytes: number[][] = [];
  readonly #first: number[] = [];
  readonly #last: number[] = [];
  /** The names in the order of a walk: those below a node are neighbours. */
  readonly order: readonly number[];
  readonly #spelled: readonly Uint8Array[];
  readonly #depths: number[] = [0];

  constructor(names: readonly string[]) {
    this.#spelled = names.map((name) => bytesOfLiteral(JSON.stringify(name)).subarray(1));
    const byBytes = names.map((_, index) => index).sort((a, b) => compare(this.#bytesOf(a), this.#bytesOf(b)));
    for (const [place, index] of byBytes.entries()) this.#insert(index, place);
    this.order = byBytes;
  }

  child(node: number, byte: number): number {
    return this.#children.get(node * 256 + byte) ?? ABSENT;
  }

  /** The bytes that can follow a node. */
  bytesAfter(node: number): readonly number[] {
    return this.#bytes[node] ?? [];
  }

  /** The name that ends at a node; `ABSENT` for none. */
  nameAt(node: number): number {
    return this.#names[node] ?? ABSENT;
  }

  /** The names below a node: places in `order`, the last one not included. */
  rangeOf(node: number): readonly [first: number, last: number] {
    return [this.#first[node] ?? 0, this.#last[node] ?? 0];
  }

  /** The byte that follows a node on the way to a name below it. */
  byteTo(node: number, name: number): number {
    return this.#bytesOf(name)[this.#depths[node] ?? 0] ?? 0;
  }

  /** Bytes from a node to the end of a name below it. */
  lengthTo(node: number, name: number): number {
    return this.#bytesOf(name).length - (this.#depths[node] ?? 0);
  }

  #bytesOf(name: number): Uint8Array {
    return this.#spelled[name] ?? new Uint8Array();
  }

  #insert(name: number, place: number): void {
    let node = 0;
    this.#cover(node, place);
    for (const byte of this.#bytesOf(name)) {
      const key = node * 256 + byte;
      const next = this.#children.get(key) ?? this.#names.push(ABSENT) - 1;
      if (!this.#children.has(key)) {
        this.#depths[next] = (this.#depths[node] ?? 0) + 1;
        this.#bytes[node] = [...this.bytesAfter(node), byte];
        this.#children.set(key, next);
      }
      node = next;
      this.#cover(node, place);
    }
    this.#names[node] = name;
  }

  #cover(node: number, place: number): void {
    this.#first[node] ??= place;
    this.#last[node] = place + 1;
  }
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) if (a[at] !== b[at]) return (a[at] ?? 0) - (b[at] ?? 0);
  return a.length - b.length;
}
