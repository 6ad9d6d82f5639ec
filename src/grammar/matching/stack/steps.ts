/**
 * One step of the pushdown automaton: the frames that follow a frame when a byte is read. The result has only
 * frames that read a byte or a token next. Pure.
 */

import type { GrammarNode, NodeId } from '../../program.ts';
import type { NamePlaces } from '../names/name-places.ts';
import { ArraySteps, ObjectSteps } from './container-steps.ts';
import type { Facts } from './facts.ts';
import { type Frames, NO_FRAME } from './frames.ts';
import { AFTER, OPEN } from './phases.ts';
import type { StepPlace } from './step-place.ts';
import { stepChars, stepLiteral, stepString, stepText } from './string-steps.ts';

/** Multiplies a frame in a key of a frame and a node. */
const NODES = 2 ** 20;

/**
 * When a step has made more frames, the other frames of the state are dropped: a recursion through many
 * alternatives would multiply them with each byte. Each frame is a reading of the text of its own, so the
 * grammar can become narrower, and never wider.
 */
export const MAX_STEP_FRAMES = 1_024;

/** The frames after a step, and whether the text can end there. */
export interface StepResult {
  readonly frames: readonly number[];
  readonly accepts: boolean;
}

export class Steps implements StepPlace {
  readonly #facts: Facts;
  readonly #frames: Frames;
  readonly #arrays: ArraySteps;
  readonly #objects: ObjectSteps;
  /** The frames that follow. */
  #out: number[] = [];
  /** The text can end here. */
  #accepts = false;
  /** Choices and repetitions that this step has entered, so that a recursion without a byte ends. */
  readonly #entered = new Set<number>();
  /** The frame that is stepped: its parts, and the frame below. */
  phase = OPEN;
  a = 0;
  b = 0;
  #node: NodeId = 0;
  #parent = NO_FRAME;
  /** The parts of the frame that is looked up. */
  readonly #place = { node: 0, phase: OPEN, a: 0, b: 0 };

  constructor(facts: Facts, frames: Frames, names: NamePlaces) {
    this.#facts = facts;
    this.#frames = frames;
    this.#arrays = new ArraySteps(facts);
    this.#objects = new ObjectSteps(names);
  }

  /** The frames at the beginning of a text. */
  begin(root: NodeId): StepResult {
    this.#reset();
    this.#enter(root, NO_FRAME);
    return { frames: this.#out, accepts: this.#accepts };
  }

  /** The frames after a byte. */
  read(frames: readonly number[], byte: number): StepResult {
    this.#reset();
    for (const frame of frames) {
      this.#step(frame, byte);
      if (this.#out.length > MAX_STEP_FRAMES) return this.#readNearest(frames, byte);
    }
    return { frames: this.#out, accepts: this.#accepts };
  }

  /** The frames after a byte, if they are too many: those of the frames with the shortest ways to an end. */
  #readNearest(frames: readonly number[], byte: number): StepResult {
    this.#reset();
    const { totals } = this.#frames;
    for (const frame of [...frames].sort((x, y) => (totals[x] ?? 0) - (totals[y] ?? 0))) {
      this.#step(frame, byte);
      if (this.#out.length > MAX_STEP_FRAMES) break;
    }
    return { frames: this.#out, accepts: this.#accepts };
  }

  /** The frames after a special token. */
  readToken(frames: readonly number[], id: number): StepResult {
    this.#reset();
    for (const frame of frames) {
      const node = this.#facts.nodeAt(this.#frames.nodes[frame] ?? 0);
      if (node.kind === 'token' && node.id === id) this.#complete(this.#frames.parents[frame] ?? NO_FRAME);
    }
    return { frames: this.#out, accepts: this.#accepts };
  }

  stay(phase: number, a: number, b: number): void {
    this.#set(this.#node, phase, a, b);
    this.#push(this.#parent);
  }

  end(): void {
    this.#complete(this.#parent);
  }

  above(other: NodeId, phase: number, a: number, b: number): void {
    this.#set(this.#node, phase, a, b);
    this.#enter(other, this.#frames.at(this.#place, this.#parent));
  }

  #reset(): void {
    this.#out = [];
    this.#accepts = false;
    if (this.#entered.size > 0) this.#entered.clear();
  }

  #set(node: NodeId, phase: number, a: number, b: number): void {
    const place = this.#place;
    place.node = node;
    place.phase = phase;
    place.a = a;
    place.b = b;
  }

  #push(parent: number): void {
    this.#out.push(this.#frames.at(this.#place, parent));
  }

  #step(frame: number, byte: number): void {
    const { nodes, phases, a, b, parents } = this.#frames;
    const id = nodes[frame] ?? 0;
    this.#node = id;
    this.phase = phases[frame] ?? OPEN;
    this.a = a[frame] ?? 0;
    this.b = b[frame] ?? 0;
    this.#parent = parents[frame] ?? NO_FRAME;
    const node = this.#facts.nodeAt(id);
    switch (node.kind) {
      case 'literal':
        stepLiteral(this, this.#facts.literal(id, node.text), byte);
        return;
      case 'chars':
        stepChars(this, node, byte);
        return;
      case 'string':
        stepString(this, node, byte);
        return;
      case 'text':
        stepText(this, node, byte);
        return;
      case 'array':
        this.#arrays.step(this, node, byte);
        return;
      case 'object':
        this.#objects.step(this, this.#facts.object(id, node), byte);
        return;
      default:
        return;
    }
  }

  /** Begins a node above a frame. */
  #enter(id: NodeId, parent: number): void {
    const facts = this.#facts;
    if (!facts.exists(id)) return;
    const node = facts.nodeAt(id);
    switch (node.kind) {
      case 'literal':
        if (node.text === '') this.#complete(parent);
        else this.#open(id, parent);
        return;
      case 'chars':
        if ((node.automaton.edges[0] ?? []).length > 0) this.#open(id, parent);
        if (node.automaton.accepts[0]) this.#complete(parent);
        return;
      case 'sequence':
        this.#sequence(id, node.items, 0, parent);
        return;
      case 'choice':
        if (this.#isEntered(id, parent)) return;
        for (const item of node.items) this.#enter(item, parent);
        return;
      case 'repeat':
        if (!this.#isEntered(id, parent)) this.#repeat(id, node, 0, parent);
        return;
      case 'nothing':
        return;
      default:
        this.#open(id, parent);
    }
  }

  #open(id: NodeId, parent: number): void {
    this.#set(id, OPEN, 0, 0);
    this.#push(parent);
  }

  #isEntered(id: NodeId, parent: number): boolean {
    const key = (parent + 1) * NODES + id;
    if (this.#entered.has(key)) return true;
    this.#entered.add(key);
    return false;
  }

  /** Continues a frame whose node above has ended. */
  #complete(frame: number): void {
    if (frame === NO_FRAME) {
      this.#accepts = true;
      return;
    }
    const frames = this.#frames;
    const id = frames.nodes[frame] ?? 0;
    const a = frames.a[frame] ?? 0;
    const parent = frames.parents[frame] ?? NO_FRAME;
    const node = this.#facts.nodeAt(id);
    switch (node.kind) {
      case 'sequence':
        this.#sequence(id, node.items, a + 1, parent);
        return;
      case 'repeat':
        this.#repeat(id, node, a + 1, parent);
        return;
      case 'array': {
        const { prefix, rest, min, max } = node;
        const counted = rest && max === undefined ? Math.min(a + 1, Math.max(prefix.length, min)) : a + 1;
        this.#set(id, AFTER, counted, frames.b[frame] ?? 0);
        this.#push(parent);
        return;
      }
      default:
        this.#set(id, AFTER, a, 0);
        this.#push(parent);
    }
  }

  /** The last item of a sequence needs no frame of the sequence. */
  #sequence(id: NodeId, items: readonly NodeId[], index: number, parent: number): void {
    const item = items[index];
    if (item === undefined) this.#complete(parent);
    else if (index === items.length - 1) this.#enter(item, parent);
    else {
      this.#set(id, OPEN, index, 0);
      this.#enter(item, this.#frames.at(this.#place, parent));
    }
  }

  /** After `count` items. */
  #repeat(id: NodeId, node: Extract<GrammarNode, { kind: 'repeat' }>, count: number, parent: number): void {
    const { item, min, max } = node;
    if (count >= min) this.#complete(parent);
    if (max !== undefined && count >= max) return;
    this.#set(id, OPEN, max === undefined ? Math.min(count, min) : count, 0);
    this.#enter(item, this.#frames.at(this.#place, parent));
  }
}
