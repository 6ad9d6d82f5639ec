/**
 * A recognizer of grammars that is as simple as possible, to compare the fast automaton with. It interprets the
 * nodes of a program over a text with sets of positions. Exponential in the worst case: for tests only.
 */
import type { CharAutomaton, GrammarNode, NodeId, Program } from '../../../src/grammar/program.ts';

/** True if a program accepts a text as a whole. Tokens without text never match. */
export function recognizes({ nodes, root }: Program, text: string): boolean {
  return new Recognizer(nodes, text).match(root, 0).has(text.length);
}

type ArrayNode = Extract<GrammarNode, { kind: 'array' }>;
type ObjectNode = Extract<GrammarNode, { kind: 'object' }>;
type Ends = ReadonlySet<number>;

const NO_ENDS: Ends = new Set();
/** A string of JSON with its quotes. */
const STRING = /"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;

class Recognizer {
  readonly #nodes: readonly GrammarNode[];
  readonly #text: string;
  readonly #known = new Map<string, Ends>();

  constructor(nodes: readonly GrammarNode[], text: string) {
    this.#nodes = nodes;
    this.#text = text;
  }

  /** Positions where a text of the node that begins at `from` can end. */
  match(id: NodeId, from: number): Ends {
    const key = `${id} ${from}`;
    const known = this.#known.get(key);
    if (known) return known;
    const node = this.#nodes[id];
    if (!node) throw new Error(`The program refers to the node ${id}, which does not exist.`);
    const ends = this.#matchNode(node, from);
    this.#known.set(key, ends);
    return ends;
  }

  #matchNode(node: GrammarNode, from: number): Ends {
    switch (node.kind) {
      case 'nothing':
      case 'token':
        return NO_ENDS;
      case 'literal':
        return this.#literal(node.text, from);
      case 'chars':
        return prefixes(node.automaton, this.#text, from);
      case 'string':
      case 'text':
        return this.#string(node, from);
      case 'sequence':
        return node.items.reduce<Ends>((ends, item) => this.#each(ends, item), new Set([from]));
      case 'choice':
        return new Set(node.items.flatMap((item) => [...this.match(item, from)]));
      case 'repeat':
        return this.#repeat(node, from);
      case 'array':
        return this.#array(node, from);
      case 'object':
        return this.#object(node, from);
    }
  }

  #literal(literal: string, from: number): Ends {
    return this.#text.startsWith(literal, from) ? new Set([from + literal.length]) : NO_ENDS;
  }

  #each(starts: Ends, item: NodeId): Ends {
    return new Set([...starts].flatMap((start) => [...this.match(item, start)]));
  }

  #string(node: Extract<GrammarNode, { kind: 'string' | 'text' }>, from: number): Ends {
    const spelled = this.#spelledAt(from);
    if (spelled === undefined) return NO_ENDS;
    const value = JSON.parse(spelled) as string;
    const isMatch =
      node.kind === 'text'
        ? [...value].length >= node.min && [...value].length <= (node.max ?? Number.POSITIVE_INFINITY)
        : spelled === JSON.stringify(value) && accepts(node.automaton, value);
    return isMatch ? new Set([from + spelled.length]) : NO_ENDS;
  }

  #spelledAt(from: number): string | undefined {
    STRING.lastIndex = from;
    return STRING.exec(this.#text)?.[0];
  }

  #repeat({ item, min, max = Number.POSITIVE_INFINITY }: Extract<GrammarNode, { kind: 'repeat' }>, from: number): Ends {
    const ends = new Set<number>();
    let starts: Ends = new Set([from]);
    for (let count = 0; count <= max && starts.size > 0; count += 1) {
      if (count >= min) for (const start of starts) ends.add(start);
      starts = this.#each(starts, item);
    }
    return ends;
  }

  #array({ prefix, rest, min, max = Number.POSITIVE_INFINITY, minMatches }: ArrayNode, from: number): Ends {
    if (this.#text[from] !== '[') return NO_ENDS;
    const ends = new Set<number>();
    const visit = (at: number, count: number, matched: number): void => {
      if (this.#text[at] === ']' && count >= min && matched >= minMatches) ends.add(at + 1);
      const start = count === 0 ? [at] : this.#after(',', at);
      const item = prefix[count] ?? rest;
      if (!item || count >= max) return;
      for (const first of start) {
        for (const end of this.match(item.value, first)) visit(end, count + 1, matched);
        if (item.match !== undefined && matched < minMatches)
          for (const end of this.match(item.match, first)) visit(end, count + 1, matched + 1);
      }
    };
    visit(from + 1, 0, 0);
    return ends;
  }

  /** Positions after a mark and at most one space. */
  #after(mark: string, at: number): number[] {
    if (this.#text[at] !== mark) return [];
    return this.#text[at + 1] === ' ' ? [at + 1, at + 2] : [at + 1];
  }

  #object(node: ObjectNode, from: number): Ends {
    const { members, others, min, max = Number.POSITIVE_INFINITY } = node;
    if (this.#text[from] !== '{') return NO_ENDS;
    const ends = new Set<number>();
    const isComplete = (names: ReadonlySet<string>): boolean =>
      names.size >= min &&
      names.size <= max &&
      members.every(({ name, required, requires = [] }) =>
        names.has(name) ? requires.every((other) => names.has(members[other]?.name ?? '')) : !required,
      );
    const visit = (at: number, names: ReadonlySet<string>): void => {
      if (this.#text[at] === '}' && isComplete(names)) ends.add(at + 1);
      for (const start of names.size === 0 ? [at] : this.#after(',', at)) {
        const spelled = this.#spelledAt(start);
        if (spelled === undefined) continue;
        const name = JSON.parse(spelled) as string;
        if (spelled !== JSON.stringify(name) || names.has(name)) continue;
        const listed = members.filter((member) => member.name === name);
        const values =
          listed.length > 0 ? listed : others.filter((group) => !group.names || accepts(group.names, name));
        for (const { value } of values)
          for (const first of this.#after(':', start + spelled.length))
            for (const end of this.match(value, first)) visit(end, new Set([...names, name]));
      }
    };
    visit(from + 1, new Set());
    return ends;
  }
}

/** The state after one character, or undefined. */
function next({ edges }: CharAutomaton, state: number, code: number): number | undefined {
  const ranges = edges[state] ?? [];
  for (let at = 0; at < ranges.length; at += 3)
    if (code >= (ranges[at] ?? 0) && code <= (ranges[at + 1] ?? 0)) return ranges[at + 2];
  return undefined;
}

function accepts(automaton: CharAutomaton, text: string): boolean {
  return prefixes(automaton, text, 0).has(text.length);
}

/** Ends of the texts of an automaton that begin at `from`. */
function prefixes(automaton: CharAutomaton, text: string, from: number): Ends {
  const ends = new Set<number>();
  let state: number | undefined = 0;
  for (let at = from; ; ) {
    if (automaton.accepts[state]) ends.add(at);
    const code = text.codePointAt(at);
    if (code === undefined) return ends;
    state = next(automaton, state, code);
    if (state === undefined) return ends;
    at += code > 0xffff ? 2 : 1;
  }
}
