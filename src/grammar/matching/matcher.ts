/** One text of a grammar: which tokens may come next, and what the text is after a token. Pure. */

import { type Automaton, DEAD } from './automaton.ts';
import { OPEN_BRACE } from './bytes/json-bytes.ts';
import { idsIn, MAX_LISTED, type Mask } from './found-mask.ts';
import type { Masks, StateMask } from './masks.ts';
import type { WrittenNames } from './names/written-names.ts';
import { OTHER } from './stack/phases.ts';
import { removeBit, type Vocabulary } from './vocabulary.ts';

/** An automaton and its masks. */
export interface Machine {
  readonly automaton: Automaton;
  readonly masks: Masks;
}

/** The parts of a grammar that a text uses. */
interface GrammarParts {
  readonly vocabulary: Vocabulary;
  /** The same place in an automaton that has room for more states. */
  withRoom(machine: Machine, state: number): { readonly machine: Machine; readonly state: number };
}

/** The end of a text. */
interface Position {
  readonly machine: Machine;
  readonly state: number;
  readonly names: WrittenNames;
}

/** Names that can still follow are searched for a new one up to this number. */
const MAX_WORDS = 64;

export class Matcher {
  readonly #grammar: GrammarParts;
  #position: Position;

  constructor(grammar: GrammarParts, position: Position) {
    this.#grammar = grammar;
    this.#position = position;
  }

  /** True if the text is complete: it can end here. */
  get accepts(): boolean {
    const { machine, state } = this.#position;
    return machine.automaton.accepts(state);
  }

  /** True if the text is complete, and nothing can follow. */
  get finished(): boolean {
    const { machine, state } = this.#position;
    return machine.automaton.accepts(state) && machine.automaton.framesOf(state).length === 0;
  }

  /**
   * The ids that may come next, without the end of the text. A text without an alternative is written in the
   * longest tokens, so that its mask has one id.
   * @param left tokens that can follow the next one. If they are few, only ids from which the text can be
   *   completed in time are in the mask; if there is none, the mask of a complete text is empty. If the
   *   shortest way to the end is too long for them, all ids are in the mask.
   */
  mask(left = Number.POSITIVE_INFINITY): Mask {
    const { machine, state } = this.#position;
    const all = machine.masks.of(state);
    const isClosing = all.farthest > left && (all.count > 1 || this.accepts);
    // A text that cannot be completed in time needs no search: it takes the time of a walk for each token.
    if (isClosing && machine.masks.canEnd(state, left + 1)) {
      const closing = this.#withoutKnownNames(machine.masks.closing(state, left));
      if ('bits' in closing || closing.ids.length > 0 || this.accepts) return closing;
    }
    return this.#withoutKnownNames(all);
  }

  /**
   * Adds a token to the text.
   * @returns false if the grammar does not allow the token: the text is unchanged then
   */
  accept(id: number): boolean {
    const next = this.#after(this.#position, id);
    if (!next || !this.#canEndName(next)) return false;
    const { machine, state } = this.#grammar.withRoom(next.machine, next.state);
    this.#position = { machine, state, names: next.names };
    return true;
  }

  /**
   * The next ids for which there is no choice. Does not change the text.
   * @param max maximum number of ids
   */
  forced(max: number): readonly number[] {
    const ahead = new Matcher(this.#grammar, this.#position);
    const ids: number[] = [];
    while (ids.length < max && !ahead.accepts) {
      const mask = ahead.mask();
      const [id] = 'ids' in mask && mask.ids.length === 1 ? mask.ids : [];
      if (id === undefined || !ahead.accept(id)) break;
      ids.push(id);
    }
    return ids;
  }

  /** The number of these ids that the grammar allows one after another. Does not change the text. */
  allowedPrefix(ids: readonly number[]): number {
    const ahead = new Matcher(this.#grammar, this.#position);
    const refused = ids.findIndex((id) => !ahead.#isInMask(id) || !ahead.accept(id));
    return refused < 0 ? ids.length : refused;
  }

  /**
   * False if the id is another spelling of a text without an alternative. Only the mask of such a state is
   * needed: the masks of all states of a draft would take longer than the draft saves.
   */
  #isInMask(id: number): boolean {
    const { machine, state } = this.#position;
    if (machine.automaton.onlyByte(state) < 0) return true;
    const mask = this.mask();
    return !('ids' in mask) || mask.ids.includes(id);
  }

  #after(from: Position, id: number): Position | undefined {
    const { automaton } = from.machine;
    const bytes = this.#grammar.vocabulary.bytesOf(id);
    if (bytes.length === 0) {
      const state = automaton.nextToken(from.state, id);
      return state === DEAD ? undefined : { ...from, state, names: from.names.dropped() };
    }
    let position: Position | undefined = from;
    for (const byte of bytes) {
      position = this.#afterByte(position, byte);
      if (!position) return undefined;
    }
    return position;
  }

  #afterByte({ machine, state, names }: Position, byte: number): Position | undefined {
    const { automaton } = machine;
    const next = automaton.next(state, byte);
    if (next === DEAD) return undefined;
    const before = automaton.nameFacts(state);
    const after = automaton.nameFacts(next);
    let written = names;
    if (byte === OPEN_BRACE && before.opens > 0) written = names.opened(before.opens);
    if (before.inName === 0 && after.inName > 0) written = written.begun();
    else if (after.inName > 0) written = written.longer(byte);
    else if (before.inName > 0 && after.ended) {
      if (names.has(before.inName, names.current ?? '')) return undefined;
      written = names.ended(before.inName);
    } else written = written.dropped();
    return { machine, state: next, names: written };
  }

  /** A mask without the tokens that write a name a second time. */
  #withoutKnownNames({ mask, ends, count }: StateMask): Mask {
    if (ends.length === 0 || this.#position.names.areNone) return mask;
    const refused = ends.filter((id) => {
      const after = this.#after(this.#position, id);
      return !after || !this.#canEndName(after);
    });
    if (refused.length === 0) return mask;
    if ('ids' in mask) return { ids: mask.ids.filter((id) => !refused.includes(id)) };
    const bits = mask.bits.slice();
    for (const id of refused) removeBit(bits, id);
    const left = count - refused.length;
    return left <= MAX_LISTED ? { ids: idsIn(bits, left) } : { bits };
  }

  /** False if all names that can still follow are in the object already. */
  #canEndName({ machine, state, names }: Position): boolean {
    const { automaton } = machine;
    const { finite, inName } = automaton.nameFacts(state);
    if (!finite) return true;
    return automaton.framesOf(state).some((frame) => {
      const { node: id, phase, b } = automaton.frames.placeOf(frame);
      const node = automaton.facts.nodeAt(id);
      if (node.kind !== 'object' || phase !== OTHER) return true;
      const endings = automaton.names.endings(automaton.facts.object(id, node), b, MAX_WORDS);
      return !endings || endings.some((ending) => !names.has(inName, (names.current ?? '') + ending));
    });
  }
}
