/**
 * A grammar that runs: a program, its automaton and its masks for a vocabulary, shared by its texts. Pure.
 */
import type { Program } from '../program.ts';
import { Automaton } from './automaton.ts';
import { Masks } from './masks.ts';
import { type Machine, Matcher } from './matcher.ts';
import { WrittenNames } from './names/written-names.ts';
import type { Vocabulary } from './vocabulary.ts';

/**
 * States of an automaton, of about 1.2 KB each. When there are more, a new automaton begins with the states
 * of the texts that are in work.
 */
export const MAX_AUTOMATON_STATES = 16_384;
/** The same for its memory: a state of an ambiguous grammar has up to 256 frames of its own. */
export const MAX_AUTOMATON_BYTES = 48 * 2 ** 20;

export class Grammar {
  readonly #program: Program;
  readonly #vocabulary: Vocabulary;
  readonly #maxStates: number;
  #machine: Machine;

  /** @param maxStates for tests */
  constructor(program: Program, vocabulary: Vocabulary, maxStates = MAX_AUTOMATON_STATES) {
    this.#program = program;
    this.#vocabulary = vocabulary;
    this.#maxStates = maxStates;
    this.#machine = this.#newMachine();
  }

  /** A text at its beginning. */
  start(): Matcher {
    const machine = this.#machine;
    return new Matcher(this, { machine, state: machine.automaton.start, names: WrittenNames.NONE });
  }

  get vocabulary(): Vocabulary {
    return this.#vocabulary;
  }

  /** Number of states of the automaton. */
  get states(): number {
    return this.#machine.automaton.states;
  }

  /** Bytes of memory, about. */
  get bytes(): number {
    return this.#machine.automaton.memory + this.#machine.masks.bytes;
  }

  /** The same place in an automaton that has room for more states. */
  withRoom(machine: Machine, state: number): { readonly machine: Machine; readonly state: number } {
    if (this.#hasRoom(machine)) return { machine, state };
    if (!this.#hasRoom(this.#machine)) this.#machine = this.#newMachine();
    return { machine: this.#machine, state: this.#machine.automaton.adopt(machine.automaton, state) };
  }

  #hasRoom({ automaton }: Machine): boolean {
    return automaton.states <= this.#maxStates && automaton.memory <= MAX_AUTOMATON_BYTES;
  }

  #newMachine(): Machine {
    const automaton = new Automaton(this.#program);
    return { automaton, masks: new Masks(automaton, this.#vocabulary) };
  }
}
