/**
 * Writes texts of a format as nodes of a grammar, with special tokens as nodes of their own; and the automata
 * of texts without some other texts. Pure.
 */
import type { Budget } from '../../../grammar/budget.ts';
import type { CharAutomaton, NodeId } from '../../../grammar/program.ts';
import type { ProgramBuilder } from '../../../grammar/program-builder.ts';

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

/**
 * All texts that contain none of the stops. Algorithm: the automaton of Aho and Corasick; each state is the
 * longest end of the text that begins a stop.
 * @param before a text that comes directly before: stops can begin in it
 */
export function textWithout(stops: readonly string[], budget: Budget, before = ''): CharAutomaton {
  const wanted = stops.filter((stop) => stop !== '');
  const alphabet = [...new Set(wanted.flatMap((stop) => [...stop]))].sort((a, b) => codeOf(a) - codeOf(b));
  const beginnings = new Set(wanted.flatMap((stop) => [...stop].map((_, at, chars) => chars.slice(0, at).join(''))));
  const ends = (text: string): boolean => wanted.some((stop) => text.endsWith(stop));
  const longest = (text: string): string => {
    for (let at = 0; at < text.length; at += 1) if (beginnings.has(text.slice(at))) return text.slice(at);
    return '';
  };
  const states = new Map([[longest(before), 0]]);
  const edges: number[][] = [];
  for (const state of states.keys()) {
    budget.states(1 + alphabet.length);
    const targetOf = (next: string): number => {
      const known = states.get(next) ?? states.size;
      states.set(next, known);
      return known;
    };
    const row: number[] = [];
    let first = 0;
    for (const char of alphabet) {
      const code = codeOf(char);
      if (code > first) row.push(...edge(first, code - 1, targetOf('')));
      if (!ends(state + char)) row.push(...edge(code, code, targetOf(longest(state + char))));
      first = code + 1;
    }
    row.push(...edge(first, LAST, targetOf('')));
    edges.push(row);
  }
  return { edges, accepts: edges.map(() => true) };
}

const codeOf = (char: string): number => char.codePointAt(0) ?? 0;

/**
 * The texts that a value avoids so that its end marker is the first one in the text. A marker that ends as it
 * begins could begin inside of the value: such a value avoids its first character.
 */
export function stopOf(marker: string): string {
  for (let length = 1; length < marker.length; length += 1)
    if (marker.startsWith(marker.slice(-length))) return marker.slice(0, 1);
  return marker;
}

/** A text of a regular expression that matches exactly this text. */
export const quoted = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
