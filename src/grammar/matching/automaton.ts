/**
 * The deterministic automaton of a grammar, which grows as it is used: a state is a set of frames, and a
 * transition is computed when it is first needed. States are numbers. Rule: lazy subset construction over a
 * pushdown automaton with hash-consed stacks. Pure.
 */

import type { Program } from '../program.ts';
import { keyOf, sorted } from './frame-sets.ts';
import { NamePlaces } from './names/name-places.ts';
import { Facts } from './stack/facts.ts';
import { Frames, NO_FRAME } from './stack/frames.ts';
import { OTHER } from './stack/phases.ts';
import { PlaceBytes } from './stack/place-bytes.ts';
import { Places } from './stack/places.ts';
import { Steps } from './stack/steps.ts';
import { type NameFacts, StateFacts, type TextFacts } from './state-facts.ts';

/** The state of a text that the grammar does not allow. */
export const DEAD = 0;
const UNKNOWN = -1;
/** States whose next states share a table. */
const ROW_BITS = 6;
const ROWS = 2 ** ROW_BITS;
const NO_TABLE = new Int32Array();
/**
 * Frames of a state; more are dropped, the longest ways to an end first. Each frame is a reading of the text
 * of its own, so a dropped frame can make the grammar narrower, and never wider.
 */
const MAX_FRAMES = 256;
/** Up to this many bytes of a state are stepped one by one. */
const FEW_BYTES = 8;

export class Automaton {
  readonly facts: Facts;
  readonly frames: Frames;
  readonly places: Places;
  readonly names: NamePlaces;
  readonly bytes: PlaceBytes;
  readonly #steps: Steps;
  readonly #read: StateFacts;
  /** The next states of `ROWS` states each: `[state % ROWS * 256 + byte]`, or `UNKNOWN`. */
  readonly #tables: Int32Array[] = [];
  readonly #sets: (readonly number[])[] = [[]];
  readonly #accepts: boolean[] = [false];
  readonly #ids = new Map<string | number, number>();
  readonly #tokens = new Map<number, Map<number, number>>();
  readonly #nameFacts: (NameFacts | undefined)[] = [];
  readonly #hasGroups: boolean;
  readonly #hasTokens: boolean;
  #flags = new Uint8Array(64);
  /** By state: `restOf`. */
  #rests = new Float64Array(64).fill(Number.POSITIVE_INFINITY, DEAD, DEAD + 1);
  /** By state: 1 if several bytes in turn are worth one step (`#compute`). */
  #wide = new Uint8Array(64);
  /** The result of `#cutsOf` for the state that was asked for last. */
  readonly #cuts = new Uint8Array(257);
  #cutState = DEAD;
  /** The state at the beginning of a text. */
  readonly start: number;

  constructor(program: Program) {
    this.facts = new Facts(program);
    this.#hasGroups = program.nodes.some((node) => node.kind === 'object' && node.others.length > 0);
    this.#hasTokens = program.nodes.some(({ kind }) => kind === 'token');
    this.names = new NamePlaces(this.facts);
    this.places = new Places(this.facts, this.names);
    this.bytes = new PlaceBytes(this.facts, this.names, this.places);
    this.frames = new Frames((place) => this.places.lengthFrom(place));
    this.#steps = new Steps(this.facts, this.frames, this.names);
    this.#read = new StateFacts(this);
    this.#tables.push(new Int32Array(ROWS * 256));
    this.start = this.#stateOf(this.#steps.begin(program.root));
  }

  /** Number of states. */
  get states(): number {
    return this.#sets.length;
  }

  /** Bytes of memory, about. */
  get memory(): number {
    return this.#tables.length * ROWS * 1024 + this.frames.bytes + this.facts.bytes + this.states * 200;
  }

  /**
   * For a walk, from `firstIn(state)` on: the next state of each byte, or a negative number if `next` has to
   * compute it.
   */
  tableOf(state: number): Int32Array {
    return this.#tables[state >>> ROW_BITS] ?? NO_TABLE;
  }

  /** For a walk, by state: 1 if the names before decide whether the text can be so (`NameFacts`). */
  get flags(): Uint8Array {
    return this.#flags;
  }

  /** The state after a byte; `DEAD` if the byte is not allowed. */
  next(state: number, byte: number): number {
    const known = this.tableOf(state)[firstIn(state) + byte] ?? DEAD;
    return known === UNKNOWN ? this.#compute(state, byte) : known;
  }

  /** The state after a special token; `DEAD` if the token is not allowed. */
  nextToken(state: number, id: number): number {
    const known = this.#tokens.get(state)?.get(id);
    if (known !== undefined) return known;
    const next = this.#stateOf(this.#steps.readToken(this.framesOf(state), id));
    this.#tokens.set(state, (this.#tokens.get(state) ?? new Map<number, number>()).set(id, next));
    return next;
  }

  /** True if the text can end in a state. */
  accepts(state: number): boolean {
    return this.#accepts[state] ?? false;
  }

  framesOf(state: number): readonly number[] {
    return this.#sets[state] ?? [];
  }

  /** Special tokens that are allowed in a state. */
  tokensOf(state: number): readonly number[] {
    if (!this.#hasTokens) return [];
    const ids = this.framesOf(state).flatMap((frame) => {
      const node = this.facts.nodeAt(this.frames.nodes[frame] ?? 0);
      return node.kind === 'token' ? [node.id] : [];
    });
    return [...new Set(ids)].sort((a, b) => a - b);
  }

  /** Bytes of the shortest text from a state to the end. A special token counts as one. */
  restOf(state: number): number {
    return this.#rests[state] ?? 0;
  }

  /** The frame of a state with the shortest way to the end. */
  nearestFrame(state: number): number {
    let best = NO_FRAME;
    const { totals } = this.frames;
    for (const frame of this.framesOf(state))
      if (best === NO_FRAME || (totals[frame] ?? 0) < (totals[best] ?? 0)) best = frame;
    return best;
  }

  /** The byte that must follow; -1 if several can, if a token can, or if the text can end. */
  onlyByte(state: number): number {
    if (this.accepts(state)) return -1;
    let only = -1;
    for (const frame of this.framesOf(state)) {
      const byte = this.bytes.onlyByte(this.frames.placeOf(frame));
      if (byte < 0 || (only >= 0 && byte !== only)) return -1;
      only = byte;
    }
    return only;
  }

  nameFacts(state: number): NameFacts {
    const known = this.#nameFacts[state];
    if (known) return known;
    const facts = this.#read.names(this.framesOf(state));
    this.#nameFacts[state] = facts;
    return facts;
  }

  textFacts(state: number): TextFacts {
    return this.#read.text(this.framesOf(state));
  }

  /** The state of another automaton of the same grammar. */
  adopt(other: Automaton, state: number): number {
    const frames = other.framesOf(state).map((frame) => this.#adoptFrame(other, frame));
    return this.#stateOf({ frames, accepts: other.accepts(state) });
  }

  #adoptFrame(other: Automaton, frame: number): number {
    if (frame === NO_FRAME) return NO_FRAME;
    const place = other.frames.placeOf(frame);
    const node = this.facts.nodeAt(place.node);
    let { a, b } = place;
    if (node.kind === 'object') {
      a = this.facts.object(place.node, node).adopt(other.facts.object(place.node, node).seenAt(a)).id;
      if (place.phase === OTHER) b = this.names.adopt(other.names.placeAt(b));
    }
    const parent = this.#adoptFrame(other, other.frames.parents[frame] ?? NO_FRAME);
    return this.frames.at({ ...place, a, b }, parent);
  }

  /** Computes the next state of a byte, and with it that of the neighbours that no frame tells apart. */
  #compute(state: number, byte: number): number {
    const next = this.#stateOf(this.#steps.read(this.framesOf(state), byte));
    if (this.#wide[state] === 0) {
      this.tableOf(state)[firstIn(state) + byte] = next;
      return next;
    }
    const cuts = this.#cutsOf(state);
    let first = byte;
    let last = byte;
    while (first > 0 && cuts[first] === 0) first -= 1;
    while (last < 255 && cuts[last + 1] === 0) last += 1;
    const table = this.tableOf(state);
    const row = firstIn(state);
    for (let at = row + first; at <= row + last; at += 1) if (table[at] === UNKNOWN) table[at] = next;
    return next;
  }

  /** Flags of the bytes that the frames of a state may tell apart from the byte before. */
  #cutsOf(state: number): Uint8Array {
    if (state === this.#cutState) return this.#cuts;
    this.#cutState = state;
    const cuts = this.#cuts.fill(0);
    for (const frame of this.framesOf(state)) this.bytes.addCuts(this.frames.placeOf(frame), cuts);
    return cuts;
  }

  #stateOf({ frames, accepts }: { readonly frames: readonly number[]; readonly accepts: boolean }): number {
    if (frames.length === 0 && !accepts) return DEAD;
    const set = this.#setOf(frames);
    const key = keyOf(set, accepts);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const state = this.#sets.push(set) - 1;
    this.#accepts.push(accepts);
    this.#ids.set(key, state);
    if (state >= this.#rests.length) this.#grow();
    if (state >>> ROW_BITS >= this.#tables.length) this.#tables.push(new Int32Array(ROWS * 256));
    this.#rests[state] = accepts ? 0 : this.#restFrom(set);
    this.#wide[state] = this.#closeRow(state) ? 0 : 1;
    if (this.#hasGroups) this.#flags[state] = this.#endsName(state) ? 1 : 0;
    return state;
  }

  /** Bytes of the shortest text from some frames to the end. */
  #restFrom(frames: readonly number[]): number {
    let rest = Number.POSITIVE_INFINITY;
    for (const frame of frames) rest = Math.min(rest, this.frames.totals[frame] ?? 0);
    return rest;
  }

  /**
   * Marks the bytes of a new state that are certainly not allowed, unless they are few.
   * @returns true if at most `FEW_BYTES` are left
   */
  #closeRow(state: number): boolean {
    const next = this.tableOf(state);
    const row = firstIn(state);
    next.fill(DEAD, row, row + 256);
    let left = 0;
    const add = (byte: number): void => {
      next[row + byte] = UNKNOWN;
      left += 1;
    };
    for (const frame of this.framesOf(state))
      if (!this.bytes.addBytes(this.frames.placeOf(frame), add)) {
        next.fill(UNKNOWN, row, row + 256);
        return false;
      }
    return left <= FEW_BYTES;
  }

  #endsName(state: number): boolean {
    const { ended, finite } = this.nameFacts(state);
    return ended || finite;
  }

  #setOf(frames: readonly number[]): readonly number[] {
    if (frames.length < 2) return frames;
    const set = sorted(frames);
    if (set.length <= MAX_FRAMES) return set;
    const { totals } = this.frames;
    const nearest = set.sort((a, b) => (totals[a] ?? 0) - (totals[b] ?? 0)).slice(0, MAX_FRAMES);
    return nearest.sort((a, b) => a - b);
  }

  #grow(): void {
    const states = 2 * this.#rests.length;
    this.#flags = copied(this.#flags, new Uint8Array(states));
    this.#wide = copied(this.#wide, new Uint8Array(states));
    this.#rests = copied(this.#rests, new Float64Array(states));
  }
}

/** The place of the first byte of a state in its table. */
export const firstIn = (state: number): number => (state % ROWS) * 256;

function copied<A extends Uint8Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
