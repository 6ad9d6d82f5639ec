/**
 * Rewrites the nodes of a value of JSON: for an output in which some texts have a meaning outside of JSON,
 * and for the notations of Python and Gemma. Pure.
 */
import type { CharAutomaton, GrammarNode, Item, Member, MemberGroup, NodeId } from '../../../grammar/program.ts';
import { anyText, intersect, subtract, withLength } from '../../../grammar/regular/operations.ts';
import { wordsAutomaton } from '../../../grammar/regular/words.ts';
import { stopOf, textWithout, type Writer } from './writer.ts';

type Leaf = Extract<GrammarNode, { kind: 'literal' | 'chars' | 'string' | 'text' }>;

/** How the leaves and the names of a value are written. */
export interface Rules {
  /** The node in place of a leaf; undefined: it cannot be written. */
  leaf(node: Leaf): NodeId | undefined;
  /** The names of an object that can be written; undefined: every name. */
  readonly names?: CharAutomaton | undefined;
  /** False if a listed name cannot be written. */
  allows(name: string): boolean;
}

/** Rewrites all nodes that a node refers to, also recursive ones. */
export class Rewriter {
  readonly #writer: Writer;
  readonly #rules: Rules;
  readonly #done = new Map<NodeId, NodeId>();
  /** Nodes that have no content yet. */
  readonly #open = new Set<NodeId>();

  constructor(writer: Writer, rules: Rules) {
    this.#writer = writer;
    this.#rules = rules;
  }

  rewrite(id: NodeId): NodeId {
    const known = this.#done.get(id);
    if (known !== undefined) return known;
    const { builder } = this.#writer;
    const node = builder.nodeAt(id);
    if (node.kind === 'token' || node.kind === 'nothing') return id;
    if (node.kind === 'literal' || node.kind === 'chars' || node.kind === 'string' || node.kind === 'text') {
      const leaf = this.#rules.leaf(node) ?? builder.add({ kind: 'nothing' });
      this.#done.set(id, leaf);
      return leaf;
    }
    const hole = builder.reserve();
    this.#done.set(id, hole);
    this.#open.add(hole);
    const written = this.#inside(node);
    this.#open.delete(hole);
    builder.define(hole, written);
    return hole;
  }

  #inside(node: Exclude<GrammarNode, Leaf | { kind: 'token' | 'nothing' }>): GrammarNode {
    switch (node.kind) {
      case 'sequence': {
        const items = node.items.map((item) => this.rewrite(item));
        return items.every((item) => this.#exists(item)) ? { ...node, items } : NOTHING;
      }
      case 'choice': {
        const items = node.items.map((item) => this.rewrite(item)).filter((item) => this.#exists(item));
        return items.length > 0 ? { ...node, items } : NOTHING;
      }
      case 'repeat': {
        const item = this.rewrite(node.item);
        if (this.#exists(item)) return { ...node, item };
        return node.min > 0 ? NOTHING : { kind: 'sequence', items: [] };
      }
      case 'array':
        return this.#array(node);
      case 'object':
        return this.#object(node);
    }
  }

  #array(node: Extract<GrammarNode, { kind: 'array' }>): GrammarNode {
    const { rest: last, ...fixed } = node;
    const prefix: Item[] = [];
    for (const item of node.prefix) {
      const written = this.#item(item);
      // The array ends before an item that cannot be written.
      if (!written) return node.min > prefix.length ? NOTHING : { ...fixed, prefix };
      prefix.push(written);
    }
    const rest = last && this.#item(last);
    if (!rest && node.min > prefix.length) return NOTHING;
    return { ...fixed, prefix, ...(rest && { rest }) };
  }

  #item({ value, match }: Item): Item | undefined {
    const written = this.rewrite(value);
    if (!this.#exists(written)) return undefined;
    const matching = match === undefined ? undefined : this.rewrite(match);
    return { value: written, ...(matching !== undefined && this.#exists(matching) && { match: matching }) };
  }

  #object(node: Extract<GrammarNode, { kind: 'object' }>): GrammarNode {
    const values = node.members.map(({ name, value }) => {
      const written = this.#rules.allows(name) ? this.rewrite(value) : undefined;
      return written !== undefined && this.#exists(written) ? written : undefined;
    });
    const places = new Map<number, number>();
    const kept: Member[] = [];
    for (const [index, member] of node.members.entries()) {
      const value = values[index];
      const missing = member.requires?.some((other) => values[other] === undefined) === true;
      if (value === undefined || missing) {
        if (member.required) return NOTHING;
        continue;
      }
      places.set(index, kept.push({ ...member, value }) - 1);
    }
    const members = kept.map((member) => {
      const requires = member.requires?.flatMap((other) => places.get(other) ?? []);
      return { ...member, ...(requires && { requires }) };
    });
    const listed = node.members.map(({ name }) => name);
    const others = node.others.flatMap((group) => this.#group(group, listed));
    return { ...node, members, others };
  }

  #group({ names, value }: MemberGroup, listed: readonly string[]): MemberGroup[] {
    const written = this.rewrite(value);
    if (!this.#exists(written)) return [];
    const wanted = this.#rules.names;
    if (!wanted) return [{ ...(names && { names }), value: written }];
    const { budget } = this.#writer.builder;
    const all = names ? intersect(names, wanted, budget) : withoutWords(wanted, listed, budget);
    return all ? [{ names: all, value: written }] : [];
  }

  /** False for a node without any text. A node that is being rewritten counts as existing. */
  #exists(id: NodeId): boolean {
    return this.#open.has(id) || this.#writer.builder.nodeAt(id).kind !== 'nothing';
  }
}

const NOTHING: GrammarNode = { kind: 'nothing' };

type Budget = Writer['builder']['budget'];

/** The texts of an automaton without the words. */
function withoutWords(all: CharAutomaton, words: readonly string[], budget: Budget): CharAutomaton | undefined {
  return words.length === 0 ? all : subtract(all, wordsAutomaton(words, budget), budget);
}

/** The decoded characters of a string; undefined for another node. */
export function charsOf(node: Leaf, budget: Budget): CharAutomaton | undefined {
  if (node.kind === 'string') return node.automaton;
  if (node.kind === 'text' && node.min === 0 && node.max === undefined) return anyText();
  if (node.kind === 'text') return withLength(anyText(), node.min, node.max, budget);
  const text = node.kind === 'literal' ? stringOf(node.text) : undefined;
  return text === undefined ? undefined : wordsAutomaton([text], budget);
}

/** The text that a string of JSON means; undefined for another value. */
function stringOf(json: string): string | undefined {
  const value: unknown = json.startsWith('"') ? JSON.parse(json) : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** JSON, and other texts, that contain none of the stops. */
export function avoiding(writer: Writer, stops: readonly string[]): Rules {
  const { budget } = writer.builder;
  // JSON writes these characters in another form, so a stop with one of them never shows in a string.
  const inString = textWithout(
    stops.filter((stop) => JSON.stringify(stop) === `"${stop}"`),
    budget,
  );
  const raw = textWithout(stops, budget);
  return {
    names: inString,
    allows: (name) => !stops.some((stop) => JSON.stringify(name).includes(stop)),
    leaf(node) {
      if (node.kind === 'literal')
        return stops.some((stop) => node.text.includes(stop)) ? undefined : writer.builder.add(node);
      const [rule, chars] =
        node.kind === 'chars' ? [raw, node.automaton] : [inString, charsOf(node, budget) ?? anyText()];
      const automaton = intersect(chars, rule, budget);
      return automaton && writer.builder.add({ kind: node.kind === 'chars' ? 'chars' : 'string', automaton });
    },
  };
}

const PYTHON_WORDS: Readonly<Record<string, string>> = { true: 'True', false: 'False', null: 'None' };

/**
 * Values as the reader of Python accepts them: words of Python, and strings in double quotes in the spelling
 * of JSON.stringify, because Python has no escape `\/`.
 */
export function pythonic(writer: Writer): Rules {
  const { builder } = writer;
  return {
    allows: () => true,
    leaf(node) {
      if (node.kind === 'literal') return builder.add({ ...node, text: PYTHON_WORDS[node.text] ?? node.text });
      if (node.kind !== 'text') return builder.add(node);
      const automaton = charsOf(node, builder.budget);
      return automaton && builder.add({ kind: 'string', automaton });
    },
  };
}

/** Values as the reader of Gemma's notation accepts them: strings between two marks, without escapes. */
export function betweenMarks(writer: Writer, mark: string): Rules {
  const { builder } = writer;
  const rule = textWithout([stopOf(mark)], builder.budget);
  return {
    allows: () => true,
    leaf(node) {
      const chars = charsOf(node, builder.budget);
      if (!chars) return builder.add(node);
      const inside = intersect(chars, rule, builder.budget);
      return inside && writer.sequence(writer.text(mark), writer.chars(inside), writer.text(mark));
    },
  };
}
