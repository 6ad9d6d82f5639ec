/**
 * The values that a schema allows, as a union of alternatives: the applicators that act on the same value
 * (`$ref`, `allOf`, `anyOf`, `oneOf`, `not`, `if`, `dependentSchemas`, …) are multiplied out. Pure.
 */
import { type Budget, MAX_DEPTH } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import { type Expansion, isEmpty } from './admits.ts';
import * as f from './facts.ts';
import { Reader } from './keywords.ts';
import { negated } from './negation.ts';
import { ownFacts, restOfArray, restOfObject } from './own-facts.ts';
import { EVERYTHING, NOTHING, type Place, type Places } from './places.ts';
import type { Scalars } from './scalars.ts';

/** Maximum number of alternatives of one value. */
export const MAX_ALTERNATIVES = 10_000;
/** Combined alternatives that are kept without a proof: the proof costs more than a few of them. */
const MAX_UNPROVED = 8;
/** Thrown while two branches are compared, if this needs a schema that is not expanded yet. */
const BUSY = Symbol('busy');

type List = readonly f.Facts[];

export class Alternatives implements Expansion {
  readonly budget: Budget;
  readonly scalars: Scalars;
  readonly #places: Places;
  readonly #known = new Map<number, List>([
    [EVERYTHING.id, [f.ANYTHING]],
    [NOTHING.id, []],
  ]);
  readonly #open = new Set<number>();
  #comparisons = 0;

  constructor(places: Places, scalars: Scalars, budget: Budget) {
    this.#places = places;
    this.scalars = scalars;
    this.budget = budget;
  }

  /** The alternatives of a value that all these schemas describe. */
  all(places: readonly Place[]): List {
    let list: List = [f.ANYTHING];
    for (const place of places) list = this.#product(list, this.of(place), place);
    return list;
  }

  /** The alternatives of one schema. */
  of(place: Place): List {
    const known = this.#known.get(place.id);
    if (known) return known;
    if (this.#open.has(place.id)) {
      if (this.#comparisons > 0) throw BUSY;
      throw new GrammarError('invalid', place.path, 'refers to itself without end');
    }
    if (this.#open.size >= MAX_DEPTH)
      throw new GrammarError('too_complex', place.path, `is nested deeper than ${MAX_DEPTH} levels`);
    this.budget.step();
    this.#open.add(place.id);
    try {
      const made = this.#expand(place);
      this.#known.set(place.id, made);
      return made;
    } finally {
      this.#open.delete(place.id);
    }
  }

  #expand(place: Place): List {
    const { schema } = place;
    if (typeof schema === 'boolean') return schema ? [f.ANYTHING] : [];
    const hasReference = Object.hasOwn(schema, '$ref');
    if (hasReference && !place.dialect.siblings) {
      const target = this.#places.target(place);
      return this.of(place.negated ? this.#places.not(target) : target);
    }
    if (place.negated) return negated(place, this.#places, this).map(f.silent);
    const reader = new Reader(schema, place.path);
    for (const name of ['$dynamicRef', '$recursiveRef'])
      if (place.dialect.modern && reader.value(name) !== undefined)
        throw new GrammarError('unsupported', reader.pathOf(name), 'is not supported; use $ref');
    const own = ownFacts(place, this.#places, this.budget);
    let list: List = own ? [own] : [];
    if (hasReference) list = this.#product(list, this.of(this.#places.target(place)), place);
    for (const branch of this.#branches(place, reader, 'allOf')) list = this.#product(list, this.of(branch), place);
    if (reader.value('anyOf') !== undefined)
      list = this.#product(list, this.#union(this.#branches(place, reader, 'anyOf'), place), place);
    if (reader.value('not') !== undefined)
      list = this.#product(list, this.of(this.#places.not(this.#places.child(place, 'not'))), place);
    if (reader.value('oneOf') !== undefined) list = this.#oneOf(list, place, reader);
    if (reader.value('if') !== undefined) list = this.#condition(list, place, reader);
    list = this.#dependents(list, place, reader);
    return place.dialect.modern ? this.#unevaluated(list, place, reader) : list;
  }

  #branches(place: Place, reader: Reader, name: 'allOf' | 'anyOf' | 'oneOf'): Place[] {
    const list = reader.list(name);
    if (list?.length === 0) throw reader.wrong(name, 'a list of at least one schema');
    return (list ?? []).map((_, index) => this.#places.child(place, name, index));
  }

  /** All combinations of an alternative of each list. */
  #product(a: List, b: List, place: Place): List {
    if (a.length === 1 && a[0] === f.ANYTHING) return b;
    const made: f.Facts[] = [];
    for (const x of a)
      for (const y of b) {
        this.budget.step(2);
        const merged = f.merge(x, y);
        if (merged) this.#append(made, [merged], place);
      }
    return made.length > MAX_UNPROVED ? made.filter((facts) => !this.#isSurelyEmpty(facts)) : made;
  }

  /** True only if it is proved that no value meets the facts. */
  #isSurelyEmpty(facts: f.Facts): boolean {
    this.#comparisons += 1;
    try {
      return this.scalars.prove(() => isEmpty(this, facts));
    } catch (error) {
      if (error === BUSY || (error instanceof GrammarError && error.problem !== 'too_complex')) return false;
      throw error;
    } finally {
      this.#comparisons -= 1;
    }
  }

  /** The alternatives of any of these schemas. @throws GrammarError `too_complex` if they are too many */
  any(places: readonly Place[], owner: Place): List {
    const list: f.Facts[] = [];
    for (const place of places) this.#append(list, this.of(place), owner);
    return list;
  }

  /** Adds alternatives to a list. @throws GrammarError `too_complex` if they are too many */
  #append(list: f.Facts[], more: List, { path }: Place): void {
    this.budget.step(more.length);
    if (list.length + more.length > MAX_ALTERNATIVES)
      throw new GrammarError('too_complex', path, `combines more than ${MAX_ALTERNATIVES} alternatives`);
    for (const facts of more) list.push(facts);
  }

  /** The same for `anyOf`. If several can match, `unevaluated…` has no exact layers. */
  #union(branches: readonly Place[], place: Place): List {
    const list = this.any(branches, place);
    const isAmbiguous = list.length > 1 && list.some(hasLayers);
    return isAmbiguous ? list.map((facts) => ({ ...facts, ambiguous: true })) : list;
  }

  /** Branches that no value shares are alternatives; others exclude each other by negation. */
  #oneOf(list: List, place: Place, reader: Reader): List {
    const branches = this.#branches(place, reader, 'oneOf');
    const merged = branches.map((branch) => this.#product(list, this.of(branch), place));
    const result: f.Facts[] = [];
    for (const [index, own] of merged.entries()) {
      let alone = own;
      for (const [other, facts] of merged.entries())
        if (other !== index && alone.length > 0 && !this.#areDisjoint(own, facts))
          alone = this.#product(alone, this.#negation(branches[other] ?? NOTHING, reader), place);
      this.#append(result, alone, place);
    }
    return result;
  }

  #negation(branch: Place, reader: Reader): List {
    try {
      return this.of(this.#places.not(branch));
    } catch (error) {
      if (!(error instanceof GrammarError) || error.problem !== 'unsupported') throw error;
      const text = 'has branches that may accept the same value, which is not supported; use anyOf';
      throw new GrammarError('unsupported', reader.pathOf('oneOf'), text);
    }
  }

  /** True only if it is sure that no value meets facts of both lists. */
  #areDisjoint(a: List, b: List): boolean {
    this.#comparisons += 1;
    try {
      return this.scalars.prove(() => a.every((x) => b.every((y) => this.#excludes(x, y))));
    } catch (error) {
      if (error === BUSY) return false;
      throw error;
    } finally {
      this.#comparisons -= 1;
    }
  }

  #excludes(a: f.Facts, b: f.Facts): boolean {
    this.budget.step(2);
    const merged = f.merge(a, b);
    return !merged || isEmpty(this, merged);
  }

  #condition(list: List, place: Place, reader: Reader): List {
    const part = (name: 'then' | 'else'): Place | undefined =>
      reader.value(name) === undefined ? undefined : this.#places.child(place, name);
    const condition = this.#places.child(place, 'if');
    const [then, otherwise] = [part('then'), part('else')];
    if (!then && !otherwise) return list.map((facts) => ({ ...facts, ambiguous: true }));
    const met = this.#product(this.of(condition), this.of(then ?? EVERYTHING), place);
    const unmet = this.#product(this.of(this.#places.not(condition)), this.of(otherwise ?? EVERYTHING), place);
    return this.#product(list, [...met, ...unmet], place);
  }

  /** Schemas that apply if a member is present. */
  #dependents(list: List, place: Place, reader: Reader): List {
    const names = place.dialect.modern ? (['dependentSchemas', 'dependencies'] as const) : (['dependencies'] as const);
    let result = list;
    for (const keyword of names)
      for (const [name, value] of Object.entries(reader.map(keyword) ?? {})) {
        if (Array.isArray(value)) continue;
        const sub = this.of(this.#places.child(place, keyword, name));
        result = this.#product(result, [absent(name), ...this.#product([present(name)], sub, place)], place);
      }
    return result;
  }

  #unevaluated(list: List, place: Place, reader: Reader): List {
    let result = list;
    for (const keyword of ['unevaluatedProperties', 'unevaluatedItems'] as const) {
      if (reader.value(keyword) === undefined) continue;
      const rest = this.#places.child(place, keyword);
      result = result.flatMap((facts) => f.merge(facts, unevaluated(facts, rest, reader.pathOf(keyword))) ?? []);
    }
    return result;
  }
}

/** What `unevaluatedProperties` or `unevaluatedItems` adds to facts. */
function unevaluated(facts: f.Facts, rest: Place, path: Place['path']): f.Facts {
  const isObjects = path.at(-1) === 'unevaluatedProperties';
  if ((facts.types & (isObjects ? f.OBJECT : f.ARRAY)) === 0) return f.ANYTHING;
  const object = isObjects ? restOfObject(facts.object?.layers ?? [], rest) : undefined;
  const array = isObjects ? undefined : restOfArray(facts.array?.layers ?? [], rest);
  if (!object && !array) return f.ANYTHING;
  const isOpen = facts.ambiguous || (array && facts.array?.contains.length);
  if (isOpen && rest !== EVERYTHING) {
    const way = isObjects ? 'additionalProperties in each branch' : 'items in each branch';
    throw new GrammarError('unsupported', path, `is not supported next to anyOf, if or contains; use ${way}`);
  }
  return {
    types: f.EVERY_TYPE,
    ...(object && { object: { ...f.ANY_OBJECT, layers: [object], path: path.slice(0, -1) } }),
    ...(array && { array: { ...f.ANY_ARRAY, layers: [array] } }),
  };
}

const hasLayers = ({ object, array }: f.Facts): boolean =>
  [...(object?.layers ?? []), ...(array?.layers ?? [])].some(({ evaluates }) => evaluates);

/** Every value that is no object with this member. */
const absent = (name: string): f.Facts => ({
  types: f.EVERY_TYPE,
  object: {
    ...f.ANY_OBJECT,
    layers: [{ properties: new Map([[name, NOTHING]]), patterns: [], evaluates: false }],
  },
});

/** Every object with this member. */
const present = (name: string): f.Facts => ({
  types: f.OBJECT,
  object: { ...f.ANY_OBJECT, required: new Set([name]) },
});
