/** The facts about a set of frames that masks and names need. Pure. */
import type { MemberGroup } from '../program.ts';
import { QUOTE_BYTE } from './bytes/json-bytes.ts';
import { BETWEEN } from './bytes/text-bytes.ts';
import type { NamePlaces } from './names/name-places.ts';
import type { Facts } from './stack/facts.ts';
import { type Frames, NO_FRAME } from './stack/frames.ts';
import { COLON, INSIDE, OPEN, OTHER } from './stack/phases.ts';
import type { PlaceBytes } from './stack/place-bytes.ts';

/** The facts of a state about names of members that belong to groups. */
export interface NameFacts {
  /** Number of objects around the name that is being written; 0 outside of such a name. */
  readonly inName: number;
  /** Number of objects around the inside of an object with groups that can begin here; 0 for none. */
  readonly opens: number;
  /** The last byte has ended a name of a group. */
  readonly ended: boolean;
  /** Only finitely many names can follow. */
  readonly finite: boolean;
}

/** Frames that make a mask cheap to compute. */
export interface TextFacts {
  /** More characters that free strings may have here; -1 if the state is in no free string. */
  readonly chars: number;
  /** No other frame of the state reads a character of a free string, except the closing quote. */
  readonly only: boolean;
  /** The state is in one free string, which can end after each character. */
  readonly closable: boolean;
}

/** The parts of an automaton that are read. */
interface Parts {
  readonly facts: Facts;
  readonly frames: Frames;
  readonly names: NamePlaces;
  readonly bytes: PlaceBytes;
}

export class StateFacts {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The facts about free strings. */
  text(frames: readonly number[]): TextFacts {
    let chars = -1;
    let others = false;
    let closable = frames.length === 1;
    for (const frame of frames) {
      const place = this.#parts.frames.placeOf(frame);
      const node = this.#parts.facts.nodeAt(place.node);
      const isText = node.kind === 'text' && place.phase === INSIDE && place.b === BETWEEN;
      closable &&= isText && place.a >= node.min;
      if (isText) chars = Math.max(chars, node.max === undefined ? Number.POSITIVE_INFINITY : node.max - place.a);
      else if (node.kind === 'object' && place.phase === OTHER && this.#isFreeName(node.others, place.b))
        chars = Number.POSITIVE_INFINITY;
      else if (this.#parts.bytes.onlyByte(place) !== QUOTE_BYTE) others = true;
    }
    return { chars, only: !others, closable };
  }

  /** A name of a group of all names, between two characters. */
  #isFreeName(groups: readonly MemberGroup[], id: number): boolean {
    const { group, partial } = this.#parts.names.placeAt(id);
    return partial === BETWEEN && groups[group]?.names === undefined;
  }

  /** The facts about names. */
  names(frames: readonly number[]): NameFacts {
    let [inName, opens, ended, finite] = [0, 0, false, false];
    for (const frame of frames) {
      const { node: id, phase, b } = this.#parts.frames.placeOf(frame);
      const node = this.#parts.facts.nodeAt(id);
      if (node.kind !== 'object' || node.others.length === 0) continue;
      const object = this.#parts.facts.object(id, node);
      if (phase === OTHER) inName = Math.max(inName, this.#objectsAround(frame));
      if (phase === OPEN) opens = Math.max(opens, this.#objectsAround(frame));
      if (phase === OTHER && this.#parts.names.isFinite(object, b)) finite = true;
      if (phase === COLON && b < 0) ended = true;
    }
    return { inName, opens, ended, finite };
  }

  /** Number of objects that a frame is in. */
  #objectsAround(frame: number): number {
    let count = 0;
    for (let at = frame; at !== NO_FRAME; at = this.#parts.frames.parents[at] ?? NO_FRAME)
      if (this.#parts.facts.nodeAt(this.#parts.frames.nodes[at] ?? 0).kind === 'object') count += 1;
    return count;
  }
}
