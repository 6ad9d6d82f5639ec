/**
 * The stacks of a pushdown automaton. A frame is a place inside a node, and the frame of the node that
 * contains it; equal frames are one. Frames are numbers, their parts are columns of arrays. Pure.
 */

/** The frame below the root. */
export const NO_FRAME = -1;

/** The own parts of a frame; their meaning depends on the kind of the node (steps.ts). */
export interface Place {
  readonly node: number;
  readonly phase: number;
  readonly a: number;
  readonly b: number;
}

export class Frames {
  count = 0;
  nodes = new Int32Array(256);
  phases = new Int32Array(256);
  a = new Int32Array(256);
  b = new Int32Array(256);
  parents = new Int32Array(256);
  /** Bytes from each frame to the end of the text, at least. */
  totals = new Float64Array(256);
  /** Frames by hash; 0 = empty, otherwise the frame plus 1. At most half full. */
  #table = new Int32Array(1024);
  readonly #restOf: (place: Place) => number;

  /**
   * @param restOf bytes from a place to the end of its node. For a frame that has a frame above it: from the
   *   end of that one
   */
  constructor(restOf: (place: Place) => number) {
    this.#restOf = restOf;
  }

  /** The frame with these parts. */
  at(place: Place, parent: number): number {
    const { node, phase, a, b } = place;
    const mask = this.#table.length - 1;
    let slot = hashOf(place, parent) & mask;
    for (;;) {
      const found = (this.#table[slot] ?? 0) - 1;
      if (found < 0) break;
      if (
        this.nodes[found] === node &&
        this.a[found] === a &&
        this.b[found] === b &&
        this.parents[found] === parent &&
        this.phases[found] === phase
      )
        return found;
      slot = (slot + 1) & mask;
    }
    return this.#add(place, parent);
  }

  placeOf(frame: number): Place {
    return {
      node: this.nodes[frame] ?? 0,
      phase: this.phases[frame] ?? 0,
      a: this.a[frame] ?? 0,
      b: this.b[frame] ?? 0,
    };
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.nodes.length * 28 + this.#table.length * 4;
  }

  #add(place: Place, parent: number): number {
    if (this.count === this.nodes.length) this.#grow();
    const frame = this.count;
    this.count += 1;
    this.nodes[frame] = place.node;
    this.phases[frame] = place.phase;
    this.a[frame] = place.a;
    this.b[frame] = place.b;
    this.parents[frame] = parent;
    this.totals[frame] = this.#restOf(place) + (parent === NO_FRAME ? 0 : (this.totals[parent] ?? 0));
    this.#put(frame);
    return frame;
  }

  #put(frame: number): void {
    const mask = this.#table.length - 1;
    let slot = hashOf(this.placeOf(frame), this.parents[frame] ?? NO_FRAME) & mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
    this.#table[slot] = frame + 1;
  }

  #grow(): void {
    const wider = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const all = new Int32Array(2 * old.length);
      all.set(old);
      return all;
    };
    this.nodes = wider(this.nodes);
    this.phases = wider(this.phases);
    this.a = wider(this.a);
    this.b = wider(this.b);
    this.parents = wider(this.parents);
    const totals = new Float64Array(2 * this.totals.length);
    totals.set(this.totals);
    this.totals = totals;
    this.#table = new Int32Array(4 * totals.length);
    for (let frame = 0; frame < this.count; frame += 1) this.#put(frame);
  }
}

function hashOf({ node, phase, a, b }: Place, parent: number): number {
  let hash = Math.imul(node * 16 + phase, 0x9e37_79b1);
  hash = Math.imul(hash ^ a, 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13) ^ b, 0xc2b2_ae35);
  hash = Math.imul(hash ^ (hash >>> 16) ^ parent, 0x27d4_eb2f);
  return hash ^ (hash >>> 15);
}
