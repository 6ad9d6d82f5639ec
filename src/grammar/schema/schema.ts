/** Compiles a JSON Schema (2020-12, draft-07) into nodes of a grammar. Pure. */
import { MAX_DEPTH } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { Json } from '../output-format.ts';
import type { CharAutomaton, GrammarNode, NodeId } from '../program.ts';
import type { ProgramBuilder } from '../program-builder.ts';
import { wordsAutomaton } from '../regular/words.ts';
import { admits, type Expansion } from './admits.ts';
import { Alternatives } from './alternatives.ts';
import { arrayNode } from './arrays.ts';
import * as f from './facts.ts';
import { type Nodes, objectNode } from './objects.ts';
import { EVERYTHING, isObject, NOTHING, type Path, type Place, Places } from './places.ts';
import { pruned } from './prune.ts';
import { Scalars } from './scalars.ts';

export interface SchemaOptions {
  /**
   * Called once with the place of each keyword that has no effect: unknown keywords and unknown formats.
   * Annotations such as `title`, and keywords whose name begins with `x-`, are not reported.
   */
  readonly ignored?: (keyword: Path) => void;
}

/** Objects with more members are not compared with others: the comparison costs more than it saves. */
const COMPARED_MEMBERS = 100;

/**
 * Adds the values that a JSON Schema accepts. Rules: JSON Schema 2020-12, or draft-07 by `$schema`.
 * @throws GrammarError with the place of the keyword
 */
export function addSchema(builder: ProgramBuilder, schema: Json, options: SchemaOptions = {}): NodeId {
  const reported = new Set<string>();
  const ignored = (path: Path): void => {
    const key = JSON.stringify(path);
    if (!reported.has(key)) options.ignored?.(path);
    reported.add(key);
  };
  const { budget } = builder;
  const places = new Places(schema, budget, ignored);
  const compiler = new Compiler(builder, new Alternatives(places, new Scalars(budget, ignored), budget));
  const root = compiler.node([places.root]);
  if (root === undefined) throw new GrammarError('unsatisfiable', [], 'accepts no value');
  return compiler.isRecursive ? pruned(builder, root) : root;
}

interface Entry {
  id?: NodeId | undefined;
  isDone: boolean;
  /** The node of a reference to this value from inside of it. */
  reserved?: NodeId;
}

class Compiler implements Nodes {
  isRecursive = false;
  readonly budget: Expansion['budget'];
  readonly scalars: Scalars;
  readonly #builder: ProgramBuilder;
  readonly #alternatives: Alternatives;
  readonly #entries = new Map<string, Entry>();
  /** Nodes of large automata, by the object: equal restrictions share one. */
  readonly #strings = new Map<CharAutomaton, NodeId>();
  #depth = 0;

  constructor(builder: ProgramBuilder, alternatives: Alternatives) {
    this.#builder = builder;
    this.#alternatives = alternatives;
    this.budget = alternatives.budget;
    this.scalars = alternatives.scalars;
  }

  all(places: readonly Place[]): readonly f.Facts[] {
    return this.#alternatives.all(places);
  }

  node(places: readonly Place[]): NodeId | undefined {
    if (places.includes(NOTHING)) return undefined;
    const all = [...new Set(places)].filter((place) => place !== EVERYTHING).sort((a, b) => a.id - b.id);
    this.budget.step(1 + all.length);
    const key = all.map(({ id }) => id).join();
    const known = this.#entries.get(key);
    if (known?.isDone) return known.id;
    if (known) {
      if (all.length > 0) this.isRecursive = true;
      known.reserved ??= this.#builder.reserve();
      return known.reserved;
    }
    const path = all[0]?.path ?? [];
    if (this.#depth >= MAX_DEPTH)
      throw new GrammarError('too_complex', path, `is nested deeper than ${MAX_DEPTH} levels`);
    const entry: Entry = { isDone: false };
    this.#entries.set(key, entry);
    this.#depth += 1;
    entry.id = this.#make(all, path);
    this.#depth -= 1;
    entry.isDone = true;
    if (entry.reserved !== undefined && entry.id !== undefined) {
      this.#builder.define(entry.reserved, { kind: 'choice', items: [entry.id] });
      entry.id = entry.reserved;
    }
    return entry.id;
  }

  #make(places: readonly Place[], path: Path): NodeId | undefined {
    const list = this.all(places);
    if (places.length > 0 && list.includes(f.ANYTHING)) return this.node([]);
    const ids = new Set<NodeId>();
    const words: string[] = [];
    const texts = new Set<string>();
    for (const facts of list)
      for (const node of facts.values ? this.#listed(facts, { words, texts }) : this.#typed(facts, path)) ids.add(node);
    for (const node of this.#literals([...texts])) ids.add(node);
    if (words.length === 1) ids.add(this.#literal(words[0] ?? ''));
    if (words.length > 1)
      ids.add(this.#add({ kind: 'string', automaton: wordsAutomaton([...new Set(words)], this.budget) }));
    const [first, ...others] = ids;
    return others.length === 0 ? first : this.#add({ kind: 'choice', items: [...ids] });
  }

  #add(node: GrammarNode): NodeId {
    const isLarge =
      (node.kind === 'object' && node.members.length > COMPARED_MEMBERS) ||
      (node.kind === 'string' && node.automaton.accepts.length > COMPARED_MEMBERS);
    if (!isLarge) return this.#builder.add(node);
    const automaton = node.kind === 'string' ? node.automaton : undefined;
    const known = automaton && this.#strings.get(automaton);
    if (known !== undefined) return known;
    const id = this.#builder.reserve();
    this.#builder.define(id, node);
    if (automaton) this.#strings.set(automaton, id);
    return id;
  }

  #literal(value: Json): NodeId {
    return this.#builder.add({ kind: 'literal', text: JSON.stringify(value) });
  }

  /** Texts of JSON: many become one automaton, because a choice of many nodes is slow to run. */
  #literals(texts: readonly string[]): NodeId[] {
    if (texts.length <= COMPARED_MEMBERS) return texts.map((text) => this.#builder.add({ kind: 'literal', text }));
    return [this.#add({ kind: 'chars', automaton: wordsAutomaton(texts, this.budget) })];
  }

  /**
   * The listed values that meet the other restrictions. Strings go to `words`, and the texts of the other
   * values without parts to `texts`, to become one automaton each.
   */
  *#listed(facts: f.Facts, { words, texts }: { words: string[]; texts: Set<string> }): Generator<NodeId> {
    const { values = new Map<string, Json>(), ...others } = facts;
    for (const value of values.values()) {
      if (!admits(this, others, value)) continue;
      if (typeof value === 'string' && value.isWellFormed()) words.push(value);
      else if (typeof value !== 'object' || value === null) texts.add(JSON.stringify(value));
      else yield this.#exact(value);
    }
  }

  /** The node of one value. Members of objects can be in any order. */
  #exact(value: Json): NodeId {
    this.budget.step();
    if (Array.isArray(value)) {
      const prefix = value.map((item: Json) => ({ value: this.#exact(item) }));
      return this.#add({ kind: 'array', prefix, min: prefix.length, minMatches: 0 });
    }
    if (!isObject(value)) return this.#literal(value);
    const members = Object.entries(value).map(([name, member]) => {
      return { name, value: this.#exact(member), required: true };
    });
    return this.#add({ kind: 'object', members, others: [], min: 0 });
  }

  /** A node for each type. */
  *#typed(facts: f.Facts, path: Path): Generator<NodeId> {
    const { types, excluded = new Map<string, Json>() } = facts;
    if (types & f.NULL && !excluded.has('null')) yield this.#literal(null);
    for (const flag of [true, false]) if (types & f.BOOLEAN && !excluded.has(String(flag))) yield this.#literal(flag);
    const nodes = [
      types & f.NUMBER ? this.#number(facts) : undefined,
      types & f.STRING ? this.#string(facts) : undefined,
      types & f.ARRAY
        ? arrayNode(this, { ...(facts.array ?? f.ANY_ARRAY), ...this.#least(facts, f.ARRAY, path) })
        : undefined,
      types & f.OBJECT
        ? objectNode(this, { ...(facts.object ?? f.ANY_OBJECT), ...this.#least(facts, f.OBJECT, path) })
        : undefined,
    ];
    for (const node of nodes) if (node) yield this.#add(node);
  }

  #number({ types, number = f.ANY_NUMBER, excluded }: f.Facts): GrammarNode | undefined {
    const values = [...(excluded?.values() ?? [])].filter((value) => typeof value === 'number');
    const form = types & f.FRACTION ? (types & f.INTEGER ? 'number' : 'fraction') : 'integer';
    const automaton = this.scalars.numberAutomaton(number, form, values);
    return automaton && { kind: 'chars', automaton };
  }

  #string({ text = f.ANY_TEXT, excluded }: f.Facts): GrammarNode | undefined {
    const values = [...(excluded?.values() ?? [])].filter((value) => typeof value === 'string');
    return this.scalars.textNode(text, values);
  }

  /** The least size without excluded arrays or objects: only empty ones can be excluded. */
  #least(facts: f.Facts, type: number, path: Path): { min: number } {
    const { excluded, ...others } = facts;
    let min = (type === f.ARRAY ? facts.array?.min : facts.object?.min) ?? 0;
    for (const [key, value] of excluded ?? []) {
      if (f.typeOf(value) !== type || !admits(this, others, value)) continue;
      if (key !== '[]' && key !== '{}')
        throw new GrammarError('unsupported', path, 'excludes an array or an object, which is not supported');
      min = Math.max(min, 1);
    }
    return { min };
  }
}
