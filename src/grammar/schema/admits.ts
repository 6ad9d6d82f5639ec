/** Decides whether a known value meets the restrictions of a schema, and whether any value does. Pure. */
import type { Budget } from '../budget.ts';
import type { Json } from '../output-format.ts';
import { matches } from '../regular/words.ts';
import * as f from './facts.ts';
import { isObject, type Place } from './places.ts';
import type { Scalars } from './scalars.ts';

/** The alternatives of schemas. */
export interface Expansion {
  readonly budget: Budget;
  readonly scalars: Scalars;
  all(places: readonly Place[]): readonly f.Facts[];
}

/** Nested values that are looked at to prove that no value exists. */
const PROOF_DEPTH = 4;

/** True if schemas accept a value. */
export const admitsAll = (expansion: Expansion, places: readonly Place[], value: Json): boolean =>
  expansion.all(places).some((facts) => admits(expansion, facts, value));

/** True if a value meets all restrictions. Exact. */
export function admits(expansion: Expansion, facts: f.Facts, value: Json): boolean {
  expansion.budget.step();
  if ((facts.types & f.typeOf(value)) === 0) return false;
  if (facts.values || facts.excluded) {
    const key = f.canonical(value, () => expansion.budget.step());
    if (facts.values?.has(key) === false || facts.excluded?.has(key)) return false;
  }
  if (typeof value === 'string') return !facts.text || admitsText(expansion, facts.text, value);
  if (typeof value === 'number') return !facts.number || admitsNumber(facts.number, value);
  if (Array.isArray(value)) return !facts.array || admitsArray(expansion, facts.array, value);
  return !facts.object || !isObject(value) || admitsObject(expansion, facts.object, value);
}

function admitsText(expansion: Expansion, { min, max, rules }: f.TextFacts, value: string): boolean {
  const length = max === Number.POSITIVE_INFINITY && min === 0 ? 0 : [...value].length;
  return length >= min && length <= max && rules.every((rule) => expansion.scalars.follows(rule, value));
}

function admitsNumber({ minimum, maximum, above, below, multiples }: f.NumberFacts, value: number): boolean {
  if (value < minimum || value > maximum) return false;
  if ((above && value === minimum) || (below && value === maximum)) return false;
  return multiples.every(({ of }) => isMultiple(value, of));
}

/** True if the decimal fractions of two numbers divide without a rest. Exact. */
function isMultiple(value: number, of: number): boolean {
  const [a, b] = [decimal(value), decimal(of)];
  const exponent = Math.min(a.exponent, b.exponent);
  const scaled = ({ digits, exponent: own }: { digits: bigint; exponent: number }): bigint =>
    digits * 10n ** BigInt(own - exponent);
  return scaled(a) % scaled(b) === 0n;
}

function decimal(value: number): { digits: bigint; exponent: number } {
  const [mantissa = '0', exponent = '0'] = String(value).split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}

function admitsArray(expansion: Expansion, facts: f.ArrayFacts, items: readonly Json[]): boolean {
  if (items.length < facts.min || items.length > facts.max) return false;
  const step = (): void => expansion.budget.step();
  if (facts.unique && new Set(items.map((item) => f.canonical(item, step))).size < items.length) return false;
  if (!items.every((item, index) => admitsAll(expansion, placesAt(facts, index), item))) return false;
  return facts.contains.every(({ place, min, max }) => {
    const count = items.filter((item) => admitsAll(expansion, [place], item)).length;
    return count >= min && count <= max;
  });
}

function admitsObject(expansion: Expansion, facts: f.ObjectFacts, value: { readonly [name: string]: Json }): boolean {
  const names = Object.keys(value);
  if (names.length < facts.min || names.length > facts.max) return false;
  const has = (name: string): boolean => Object.hasOwn(value, name);
  if (![...facts.required].every(has)) return false;
  if (!facts.dependent.every(([name, others]) => !has(name) || others.every(has))) return false;
  return Object.entries(value).every(
    ([name, member]) =>
      admitsAll(expansion, facts.names, name) && admitsAll(expansion, placesOf(expansion, facts, name), member),
  );
}

/** The schemas of an item. */
export const placesAt = ({ layers }: f.ArrayFacts, index: number): Place[] =>
  layers.flatMap(({ prefix, rest }) => prefix[index] ?? rest ?? []);

/** The schemas of the member with a name. */
export function placesOf(expansion: Expansion, { layers }: f.ObjectFacts, name: string): Place[] {
  const found: Place[] = [];
  for (const { properties, patterns, additional } of layers) {
    const own = properties.get(name);
    const matched = patterns.filter(({ source, path }) => {
      const automaton = expansion.scalars.pattern(source, path);
      return automaton !== undefined && matches(automaton, name);
    });
    if (own) found.push(own);
    for (const { place } of matched) found.push(place);
    if (!own && matched.length === 0 && additional) found.push(additional);
  }
  return found;
}

/** True only if it is sure that no value meets the restrictions. */
export function isEmpty(expansion: Expansion, facts: f.Facts, depth = PROOF_DEPTH): boolean {
  expansion.budget.step();
  const { types, values, excluded } = facts;
  if (values) return ![...values.values()].some((value) => admits(expansion, facts, value));
  if (types & f.NULL && !excluded?.has('null')) return false;
  if (types & f.BOOLEAN && !(excluded?.has('true') && excluded.has('false'))) return false;
  if (types & f.NUMBER && !(facts.number && hasNoNumber(facts.number))) return false;
  if (types & f.STRING && !(facts.text && expansion.scalars.isEmpty(facts.text))) return false;
  if (types & f.ARRAY && !(facts.array && hasNoArray(expansion, facts.array, depth))) return false;
  return !(types & f.OBJECT) || (facts.object !== undefined && hasNoObject(expansion, facts.object, depth));
}

const hasNoNumber = ({ minimum, maximum, above, below }: f.NumberFacts): boolean =>
  minimum > maximum || (minimum === maximum && (above || below));

const isEmptyAll = (expansion: Expansion, places: readonly Place[], depth: number): boolean =>
  expansion.all(places).every((facts) => isEmpty(expansion, facts, depth - 1));

function hasNoArray(expansion: Expansion, facts: f.ArrayFacts, depth: number): boolean {
  if (Math.max(facts.min, ...facts.contains.map(({ min }) => min)) > facts.max) return true;
  if (depth === 0) return false;
  const length = Math.min(facts.min, Math.max(0, ...facts.layers.map(({ prefix }) => prefix.length + 1)));
  for (let index = 0; index < length; index += 1) if (isEmptyAll(expansion, placesAt(facts, index), depth)) return true;
  return false;
}

function hasNoObject(expansion: Expansion, facts: f.ObjectFacts, depth: number): boolean {
  if (Math.max(facts.min, facts.required.size) > facts.max) return true;
  if (depth === 0) return false;
  return [...facts.required].some((name) => isEmptyAll(expansion, placesOf(expansion, facts, name), depth));
}
