/** Random texts of a grammar: walks its nodes, with choices of a seeded generator. */
import type { CharAutomaton, GrammarNode, MemberGroup, NodeId, Program } from '../../../src/grammar/program.ts';
import { shortestLengths } from '../../../src/grammar/shortest.ts';
import { type Spelling, shortestInside } from '../../../src/grammar/spelling.ts';

export interface SamplerOptions {
  /** Numbers from 0 to 1. */
  readonly random: () => number;
  /** Text of a special token. */
  readonly tokenText?: (id: number) => string;
  /** Bytes that one text should not exceed by much: then the shortest ways are chosen. */
  readonly size?: number;
}

/** Characters that are likely to break a reader. */
const CHARS = [...'aZ09 _-"\'\\/\n\t<>{}[]()=:,.|`é漢😀 '];

/** A random text of a grammar. Throws if the grammar has none. */
export function sample(program: Program, options: SamplerOptions): string {
  return new Sampler(program, options).text(program.root);
}

class Sampler {
  readonly #nodes: readonly GrammarNode[];
  readonly #lengths: Float64Array;
  readonly #random: () => number;
  readonly #tokenText: (id: number) => string;
  #left: number;

  constructor({ nodes }: Program, { random, tokenText = () => '', size = 300 }: SamplerOptions) {
    this.#nodes = nodes;
    this.#lengths = shortestLengths({ nodes });
    this.#random = random;
    this.#tokenText = tokenText;
    this.#left = size;
  }

  text(id: NodeId): string {
    const node = this.#nodes[id];
    if (!node || this.#of(id) === Number.POSITIVE_INFINITY) throw new Error(`node ${id} has no text`);
    const made = this.#made(node);
    return made;
  }

  #of(id: NodeId): number {
    return this.#lengths[id] ?? Number.POSITIVE_INFINITY;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #spend(text: string): string {
    this.#left -= text.length;
    return text;
  }

  /** Some of the possible ids; the shortest one if no size is left. */
  #pick(ids: readonly NodeId[]): NodeId {
    const possible = ids
      .filter((id) => this.#of(id) < Number.POSITIVE_INFINITY)
      .sort((a, b) => this.#of(a) - this.#of(b));
    const id = possible[this.#left <= 0 ? 0 : this.#below(possible.length)];
    if (id === undefined) throw new Error('nothing to choose');
    return id;
  }

  #made(node: GrammarNode): string {
    switch (node.kind) {
      case 'nothing':
        throw new Error('nothing');
      case 'literal':
        return this.#spend(node.text);
      case 'token':
        return this.#spend(this.#tokenText(node.id));
      case 'chars':
        return this.#chars(node.automaton, 'raw');
      case 'string':
        return JSON.stringify(this.#chars(node.automaton, 'json'));
      case 'text':
        return this.#jsonText(node.min, node.max);
      case 'sequence':
        return node.items.map((item) => this.text(item)).join('');
      case 'choice':
        return this.text(this.#pick(node.items));
      case 'repeat':
        return Array.from({ length: this.#count(node.min, node.max) }, () => this.text(node.item)).join('');
      case 'array':
        return this.#array(node);
      case 'object':
        return this.#object(node);
    }
  }

  #count(min: number, max = min + 4): number {
    return this.#left <= 0 ? min : min + this.#below(Math.min(max, min + 3) - min + 1);
  }

  /** A walk through an automaton; the shortest way to its end after some steps. */
  #chars({ edges, accepts }: CharAutomaton, spelling: Spelling): string {
    const lengths = shortestInside({ edges, accepts }, spelling);
    let steps = this.#left <= 0 ? 0 : this.#below(14);
    let text = '';
    for (let state = 0; ; ) {
      const ways = triples(edges[state] ?? []);
      if (ways.length === 0 || (accepts[state] && steps <= 0)) return this.#spend(text);
      const near = ways.filter(([, , target]) => (lengths[target] ?? 0) < (lengths[state] ?? 0));
      const from = steps > 0 || near.length === 0 ? ways : near;
      const way = from[this.#below(from.length)] ?? ways[0];
      if (!way) return text;
      const [first, last, target] = way;
      const liked = CHARS.map((char) => char.codePointAt(0) ?? 0).filter((code) => code >= first && code <= last);
      const code =
        liked.length > 0 ? liked[this.#below(liked.length)] : first + this.#below(Math.min(last - first + 1, 90));
      text += String.fromCodePoint(code ?? first);
      state = target;
      steps -= 1;
    }
  }

  /** A string of JSON, with characters in different spellings. */
  #jsonText(min: number, max = min + 12): string {
    const length = this.#left <= 0 ? min : min + this.#below(Math.min(max, min + 12) - min + 1);
    const spelled = Array.from({ length }, () => {
      const char = CHARS[this.#below(CHARS.length)] ?? 'a';
      const kind = this.#below(6);
      if (char === '/' && kind < 3) return '\\/';
      return kind === 0 ? escapedUnits(char) : JSON.stringify(char).slice(1, -1);
    });
    return this.#spend(`"${spelled.join('')}"`);
  }

  #gap(): string {
    return this.#below(2) === 0 ? ' ' : '';
  }

  #array({ prefix, rest, min, max, minMatches }: Extract<GrammarNode, { kind: 'array' }>): string {
    const least = Math.max(min, minMatches);
    const most = Math.min(max ?? Number.POSITIVE_INFINITY, rest ? Number.POSITIVE_INFINITY : prefix.length);
    const count = this.#count(least, most);
    let matches = minMatches;
    const items: string[] = [];
    for (let at = 0; at < count; at += 1) {
      const item = prefix[at] ?? rest;
      if (!item) break;
      const matching = matches > 0 && item.match !== undefined && this.#of(item.match) < Number.POSITIVE_INFINITY;
      if (!matching && this.#of(item.value) === Number.POSITIVE_INFINITY) break;
      if (matching) matches -= 1;
      items.push(this.text(matching && item.match !== undefined ? item.match : item.value));
    }
    return `[${items.reduce((text, item, at) => (at === 0 ? item : `${text},${this.#gap()}${item}`), '')}]`;
  }

  #object({ members, others, min, max = Number.POSITIVE_INFINITY }: Extract<GrammarNode, { kind: 'object' }>): string {
    const chosen = new Set(members.flatMap(({ required }, at) => (required ? [at] : [])));
    const possible = members
      .map((_, at) => at)
      .filter((at) => this.#of(members[at]?.value ?? -1) < Number.POSITIVE_INFINITY);
    for (const at of possible) if (this.#left > 0 && this.#below(2) === 0) chosen.add(at);
    for (const at of chosen) for (const other of members[at]?.requires ?? []) chosen.add(other);
    // Too many: only those that must be there.
    if (chosen.size > max)
      for (const at of [...chosen])
        if (!members[at]?.required && ![...chosen].some((other) => members[other]?.requires?.includes(at)))
          chosen.delete(at);
    for (const at of possible) if (chosen.size < min) chosen.add(at);
    const entries = [...chosen].map((at) => [members[at]?.name ?? '', members[at]?.value ?? 0] as const);
    const names = new Set(members.map(({ name }) => name));
    const groups = others.filter(({ value }) => this.#of(value) < Number.POSITIVE_INFINITY);
    const more =
      groups.length === 0 ? 0 : Math.max(min - entries.length, Math.min(this.#count(0, 2), max - entries.length));
    for (let tries = 0; tries < 200 && entries.length < chosen.size + more; tries += 1) {
      const group = groups[this.#below(groups.length)];
      const name = group && this.#name(group);
      if (!group || name === undefined || names.has(name)) continue;
      names.add(name);
      entries.push([name, group.value]);
    }
    const order = entries.map((entry) => [this.#random(), entry] as const).sort(([a], [b]) => a - b);
    const written = order.map(([, [name, value]]) => `${JSON.stringify(name)}:${this.#gap()}${this.text(value)}`);
    return `{${written.reduce((text, item, at) => (at === 0 ? item : `${text},${this.#gap()}${item}`), '')}}`;
  }

  #name({ names }: MemberGroup): string {
    if (names) return this.#chars(names, 'json');
    return `k${this.#below(1_000)}`;
  }
}

function triples(row: readonly number[]): [first: number, last: number, target: number][] {
  return Array.from({ length: row.length / 3 }, (_, at) => [
    row[3 * at] ?? 0,
    row[3 * at + 1] ?? 0,
    row[3 * at + 2] ?? 0,
  ]);
}

/** A character as escapes of JSON. */
const escapedUnits = (char: string): string =>
  char
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
