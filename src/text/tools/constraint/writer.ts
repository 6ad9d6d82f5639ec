/**
 * Writes texts of a format as nodes of a grammar, with special tokens as nodes of their own; and the automata
 * of texts without some other texts. Pure.
 */
import type { Budget } from '../../../grammar/budget.ts';
import type { CharAutomaton, NodeId } from '../../../grammar/program.ts';
import type { ProgramBuilder } from '../../../grammar/program-builder.ts';
import { patternAutomaton } from '../../../grammar/regular/pattern.ts';

export class Writer {
  readonly builder: ProgramBuilder;
  /** The special tokens, the longest texts first. */
  readonly #special: readonly (readonly [text: string, id: number])[];

  constructor(builder: ProgramBuilder, specialIds: Readonly<Record<string, number>>) {
    this.builder = builder;
    this.#special = Object.entries(specialIds)
      .filter(([text]) => text !== '')
      .sort(([a], [b]) => b.length - a.length);
  }

  /** A text with its special tokens. */
  text(text: string): NodeId {
    const items: NodeId[] = [];
    let from = 0;
    for (let at = 0; at < text.length; ) {
      const found = this.#special.find(([special]) => text.startsWith(special, at));
      if (!found) {
        at += 1;
        continue;
      }
      if (at > from) items.push(this.#literal(text.slice(from, at)));
      items.push(this.builder.add({ kind: 'token', id: found[1] }));
      at += found[0].length;
      from = at;
    }
    if (from < text.length) items.push(this.#literal(text.slice(from)));
    return this.sequence(...items);
  }

  #literal(text: string): NodeId {
    return this.builder.add({ kind: 'literal', text });
  }

  /** No items: the empty text. */
  sequence(...items: readonly NodeId[]): NodeId {
    const [only] = items;
    return items.length === 1 && only !== undefined ? only : this.builder.add({ kind: 'sequence', items });
  }

  /** No items: nothing. */
  choice(...items: readonly NodeId[]): NodeId {
    const different = [...new Set(items)];
    const [only] = different;
    if (only === undefined) return this.builder.add({ kind: 'nothing' });
    return different.length === 1 ? only : this.builder.add({ kind: 'choice', items: different });
  }

  optional(item: NodeId): NodeId {
    return this.choice(item, this.sequence());
  }

  /** The item must not accept the empty text. */
  repeat(item: NodeId, min = 0, max?: number): NodeId {
    return this.builder.add({ kind: 'repeat', item, min, ...(max !== undefined && { max }) });
  }

  chars(automaton: CharAutomaton): NodeId {
    return this.builder.add({ kind: 'chars', automaton });
  }

  /** At most one line break. */
  get lineBreak(): NodeId {
    return this.optional(this.#literal('\n'));
  }

  /** At most one space. */
  get space(): NodeId {
    return this.optional(this.#literal(' '));
  }
}

const LAST = 0x10_ffff;
const SURROGATES = [0xd800, 0xdfff] as const;

/** Edges to one state for all code points of a range. */
function edge(first: number, last: number, target: number): number[] {
  const [low, high] = SURROGATES;
  if (last < low || first > high) return first <= last ? [first, last, target] : [];
  return [...edge(first, low - 1, target), ...edge(high + 1, last, target)];
}

/** A state of the automaton of Aho and Corasick: the longest suffix of a text that is a prefix of a stop. */
interface Beginning {
  /** Targets of characters; every other character leads to the start. */
  readonly targets: Map<number, Beginning>;
  readonly own: Map<number, Beginning>;
  ends: boolean;
}

const beginning = (): Beginning => ({ targets: new Map(), own: new Map(), ends: false });

/** The start of the automaton that finds all these stops. */
function finderOf(stops: readonly string[], budget: Budget): Beginning {
  const start = beginning();
  for (const stop of stops) {
    let state = start;
    for (const code of codesOf(stop)) {
      const next = state.own.get(code) ?? beginning();
      state.own.set(code, next);
      state = next;
    }
    state.ends = true;
  }
  // Each state, and the state of its longest proper suffix.
  const queue: [state: Beginning, end: Beginning | undefined][] = [[start, undefined]];
  for (const [state, end] of queue) {
    state.ends ||= end?.ends === true;
    for (const [code, target] of end?.targets ?? []) state.targets.set(code, target);
    for (const [code, next] of state.own) {
      queue.push([next, end === undefined ? start : (end.targets.get(code) ?? start)]);
      state.targets.set(code, next);
    }
    budget.step(1 + state.targets.size);
  }
  return start;
}

/**
 * All texts that contain none of the stops.
 * @param before a text that comes directly before: stops can begin in it
 */
export function textWithout(stops: readonly string[], budget: Budget, before = ''): CharAutomaton {
  const root = finderOf(
    stops.filter((stop) => stop !== ''),
    budget,
  );
  let start = root;
  for (const code of codesOf(before)) start = start.targets.get(code) ?? root;
  const numbers = new Map([[start, 0]]);
  const numberOf = (state: Beginning): number => {
    const number = numbers.get(state) ?? numbers.size;
    numbers.set(state, number);
    return number;
  };
  const edges: number[][] = [];
  for (const state of numbers.keys()) {
    const row: number[] = [];
    let first = 0;
    for (const [code, target] of [...state.targets].sort(([a], [b]) => a - b)) {
      if (code > first) row.push(...edge(first, code - 1, numberOf(root)));
      if (!target.ends) row.push(...edge(code, code, numberOf(target)));
      first = code + 1;
    }
    row.push(...edge(first, LAST, numberOf(root)));
    budget.step(row.length);
    edges.push(row);
  }
  return { edges, accepts: edges.map(() => true) };
}

const codesOf = (text: string): number[] => Array.from(text, (char) => char.codePointAt(0) ?? 0);

/**
 * The texts that a value avoids so that its end marker is the first one in the text. A marker that ends as it
 * begins could begin inside of the value: such a value avoids its first character.
 */
export function stopOf(marker: string): string {
  for (let length = 1; length < marker.length; length += 1)
    if (marker.startsWith(marker.slice(-length))) return marker.slice(0, 1);
  return marker;
}

const compiled = new Map<string, CharAutomaton>();

/** The texts that match one of the patterns of this folder as a whole; compiled once in a process. */
export function textsOf(pattern: string, budget: Budget): CharAutomaton {
  const known = compiled.get(pattern) ?? patternAutomaton(pattern, 'whole', budget);
  if (!known) throw new Error(`no text matches ${pattern}`);
  compiled.set(pattern, known);
  return known;
}
