/** Objects of a schema: the members whose names are known, and groups of all others. Pure. */
import { GrammarError } from '../grammar-error.ts';
import type { CharAutomaton, GrammarNode, Member, MemberGroup, NodeId } from '../program.ts';
import * as o from '../regular/operations.ts';
import { wordsAutomaton, wordsOf } from '../regular/words.ts';
import { withRequired } from '../shortest.ts';
import { admitsAll, type Expansion, placesOf } from './admits.ts';
import { ANY_TEXT, checkLeast, type ObjectFacts, STRING } from './facts.ts';
import type { Path, Place } from './places.ts';

/** Maximum number of different `patternProperties` of one object. */
export const MAX_PATTERNS = 4;
/** Names of a finite pattern that are listed one by one; a pattern with more names counts as endless. */
export const MAX_NAMES = 1_000;

/** Maximum number of characters of all names of an object that allows other names too. */
export const MAX_NAME_CHARACTERS = 100_000;

/** Maximum number of members that the members of an object require, counted for each one, with chains. */
export const MAX_REQUIRED = 100_000;

/** Makes the nodes of values. */
export interface Nodes extends Expansion {
  /** The node of a value that all these schemas describe; undefined if it accepts nothing. */
  node(places: readonly Place[]): NodeId | undefined;
}

type ObjectNode = Extract<GrammarNode, { kind: 'object' }>;

/** A set of names: all, none, or those of an automaton. */
type Names = CharAutomaton | 'every' | undefined;

/**
 * The node of an object, or undefined if there is none. A group has endless names, or more than MAX_NAMES.
 */
export function objectNode(nodes: Nodes, facts: ObjectFacts): GrammarNode | undefined {
  const listed = new Set([
    ...facts.layers.flatMap(({ properties }) => [...properties.keys()]),
    ...facts.required,
    ...facts.dependent.flatMap(([name, others]) => [name, ...others]),
  ]);
  const values = new Map<string, NodeId>();
  for (const name of listed) {
    nodes.budget.step(4);
    if (facts.names.length > 0 && !admitsAll(nodes, facts.names, name)) continue;
    const value = nodes.node(placesOf(nodes, facts, name));
    if (value !== undefined) values.set(name, value);
  }
  dropImpossible(values, facts.dependent);
  const others: MemberGroup[] = [];
  const wellFormed = [...listed].filter((name) => name.isWellFormed());
  const left = { listed: wellFormed, excluded: wellFormed.filter((name) => !values.has(name)) };
  for (const { names, value } of groupsOf(nodes, facts, left)) {
    const words = names && isFiniteLanguage(names) ? wordsOf(names, MAX_NAMES) : undefined;
    if (words) for (const word of words) values.set(word, value);
    else others.push({ ...(names && { names }), value });
  }
  const node = assemble(facts, values, others);
  if (node) checkRequired(nodes, node.members, facts.path);
  return node;
}

/** @throws GrammarError `too_complex` if chains of required members are too long to be followed */
function checkRequired({ budget }: Nodes, members: readonly Member[], path: Path): void {
  let sum = 0;
  for (const [index, { requires }] of members.entries()) {
    if (!requires) continue;
    const count = withRequired(members, new Set([index])).size;
    budget.step(count);
    sum += count;
    if (sum > MAX_REQUIRED) {
      const text = `has members that require more than ${MAX_REQUIRED} others together; use shorter chains`;
      throw new GrammarError('too_complex', path, text);
    }
  }
}

/** The members that can occur, with the members that they require. */
function assemble(
  { required, dependent, min, max, path }: ObjectFacts,
  values: Map<string, NodeId>,
  others: readonly MemberGroup[],
): ObjectNode | undefined {
  const needed = new Set(required);
  const requires = new Map<string, Set<string>>();
  for (const [name, names] of dependent)
    requires.set(name, new Set([...(requires.get(name) ?? []), ...names.filter((other) => other !== name)]));
  for (const name of needed) for (const other of requires.get(name) ?? []) needed.add(other);
  if (needed.size > max || ![...needed].every((name) => values.has(name))) return undefined;
  if (others.length === 0 && values.size < min) return undefined;
  checkLeast(min, path);
  const index = new Map([...values.keys()].map((name, at) => [name, at] as const));
  const members = [...values].map(([name, value]): Member => {
    const isRequired = needed.has(name);
    const missing = [...(requires.get(name) ?? [])].filter((other) => !needed.has(other));
    const indices = isRequired ? [] : missing.flatMap((other) => index.get(other) ?? []);
    return { name, value, required: isRequired, ...(indices.length > 0 && { requires: indices }) };
  });
  const isBounded = max !== Number.POSITIVE_INFINITY && (others.length > 0 || max < members.length);
  return {
    kind: 'object',
    members,
    others,
    min: min <= needed.size ? 0 : min,
    ...(isBounded && { max }),
  };
}

/** Drops the members that require a member that cannot occur. */
function dropImpossible(values: Map<string, NodeId>, dependent: ObjectFacts['dependent']): void {
  for (let isStable = false; !isStable; ) {
    isStable = true;
    for (const [name, names] of dependent)
      if (values.has(name) && names.some((other) => !values.has(other))) {
        values.delete(name);
        isStable = false;
      }
  }
}

/** True if no state is reached twice: every state leads to the end of a word. */
function isFiniteLanguage({ edges }: CharAutomaton): boolean {
  const depths = new Int32Array(edges.length);
  const open: number[] = [0];
  while (open.length > 0) {
    const state = open.at(-1) ?? 0;
    if (depths[state] === 0) {
      depths[state] = 1;
      const ranges = edges[state] ?? [];
      for (let at = 2; at < ranges.length; at += 3) {
        const target = ranges[at] ?? 0;
        if (depths[target] === 1) return false;
        if (depths[target] === 0) open.push(target);
      }
    } else {
      open.pop();
      depths[state] = 2;
    }
  }
  return true;
}

/** Divides the names that are not listed into groups by the patterns that they match. */
function groupsOf(nodes: Nodes, facts: ObjectFacts, listed: ListedNames): MemberGroup[] {
  const sources = new Map(facts.layers.flatMap(({ patterns }) => patterns.map(({ source, path }) => [source, path])));
  if (sources.size > MAX_PATTERNS) {
    const text = `has more than ${MAX_PATTERNS} patterns for names; use fewer patternProperties`;
    throw new GrammarError('too_complex', facts.path, text);
  }
  const groups: MemberGroup[] = [];
  for (let set = 0; set < 1 << sources.size; set += 1) {
    const chosen = new Set([...sources.keys()].filter((_, index) => set & (1 << index)));
    const value = nodes.node(placesOfGroup(facts, chosen));
    if (value === undefined) continue;
    const names = namesOfGroup(nodes, facts, { ...listed, sources, chosen });
    if (names) groups.push(names === 'every' ? { value } : { names, value });
  }
  return groups;
}

/** The schemas of the names that match exactly the chosen patterns. */
const placesOfGroup = ({ layers }: ObjectFacts, chosen: ReadonlySet<string>): Place[] =>
  layers.flatMap(({ patterns, additional }) => {
    const matched = patterns.filter(({ source }) => chosen.has(source));
    return matched.length > 0 ? matched.map(({ place }) => place) : (additional ?? []);
  });

interface ListedNames {
  readonly listed: readonly string[];
  /** The listed names that no object has. */
  readonly excluded: readonly string[];
}

interface Group extends ListedNames {
  readonly sources: ReadonlyMap<string, Path>;
  readonly chosen: ReadonlySet<string>;
}

function namesOfGroup(nodes: Nodes, facts: ObjectFacts, { listed, excluded, sources, chosen }: Group): Names {
  const { budget, scalars } = nodes;
  let names: Names = allowedNames(nodes, facts.names);
  const without = (part: CharAutomaton): Names => {
    if (names === undefined) return undefined;
    return names === 'every' ? o.complement(part, budget) : o.subtract(names, part, budget);
  };
  for (const [source, path] of sources) {
    const pattern = scalars.pattern(source, path);
    if (!chosen.has(source)) names = pattern ? without(pattern) : names;
    else if (!pattern || names === undefined) return undefined;
    else names = names === 'every' ? pattern : o.intersect(names, pattern, budget);
  }
  // A group of every name has all names but those of the members.
  const removed = names === 'every' ? excluded : listed;
  if (removed.length === 0 || names === undefined) return names;
  if (removed.reduce((sum, name) => sum + name.length, 0) > MAX_NAME_CHARACTERS) {
    const text = `lists names of more than ${MAX_NAME_CHARACTERS} characters together; use shorter names`;
    throw new GrammarError('too_complex', facts.path, text);
  }
  return without(wordsAutomaton(removed, budget));
}

/** The names that `propertyNames` allows. */
function allowedNames(nodes: Nodes, places: readonly Place[]): Names {
  if (places.length === 0) return 'every';
  const parts: CharAutomaton[] = [];
  for (const facts of nodes.all(places)) {
    if ((facts.types & STRING) === 0) continue;
    if (!facts.values && !facts.text && !facts.excluded) return 'every';
    const excluded = [...(facts.excluded?.values() ?? [])].filter((value) => typeof value === 'string');
    const words = [...(facts.values?.values() ?? [])].filter((value) => typeof value === 'string');
    const allowed = words.filter((word) => word.isWellFormed() && admitsAll(nodes, places, word));
    if (facts.values && allowed.length === 0) continue;
    const part = facts.values
      ? wordsAutomaton(allowed, nodes.budget)
      : nodes.scalars.textAutomaton(facts.text ?? ANY_TEXT, excluded);
    if (part) parts.push(part);
  }
  return parts.length > 1 ? o.unite(parts, nodes.budget) : parts[0];
}
