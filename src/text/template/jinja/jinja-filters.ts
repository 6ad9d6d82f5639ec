/**
 * Filters of lists and mappings: our own sort, and bounds on the work of the library's filters, which no
 * clock can interrupt. Pure.
 */
import type { Value } from '@huggingface/jinja';
import { MAX_ARGUMENT, MAX_INDENT, MAX_SORTED } from '../render-limits.ts';
import { checkIndent } from './jinja-methods.ts';
import * as values from './jinja-values.ts';

const TOO_MANY_SORTED = `a list with more than ${MAX_SORTED} items cannot be sorted`;

/** Arguments of a filter: by position, and by name. */
export type FilterArguments = readonly [readonly Value[], ReadonlyMap<string, Value>];

/**
 * Sorts a list (`sort`) or the entries of a mapping (`dictsort`) as the library does, but reads each key
 * once: the library makes every string lower case at every comparison.
 * @returns undefined for another filter
 * @throws Error if the values cannot be compared, or an argument has the wrong type
 */
export function applySort(operand: Value, name: string, args: () => FilterArguments): Value | undefined {
  if (name === 'sort' && values.isList(operand)) {
    const given = args();
    const attribute = argument(given, 2, 'attribute');
    const path = attribute === undefined || isNothing(attribute) ? [] : pathOf(attribute);
    const keyOf = (item: Value): Value => attributeOf(item, path);
    return sorted(operand.value, keyOf, flag(given, 1, 'case_sensitive'), flag(given, 0, 'reverse'));
  }
  if (name === 'dictsort' && values.isDict(operand)) {
    const given = args();
    const at = ['key', 'value'].indexOf(values.toText(argument(given, 1, 'by') ?? values.string('key')));
    if (at < 0) throw new Error('by must be either key or value');
    const entries = Array.from(operand.value, ([key, item]) => values.list([values.string(key), item]));
    const keyOf = (entry: Value): Value => values.itemsOf(entry)[at] ?? entry;
    return sorted(entries, keyOf, flag(given, 0, 'case_sensitive'), flag(given, 2, 'reverse'));
  }
  return undefined;
}

/** @throws Error if the library's filter would do more work than one step may. */
export function checkFilter(operand: Value, name: string, args: () => FilterArguments): void {
  switch (name) {
    case 'tojson':
      checkJson(operand, args());
      return;
    case 'indent': {
      const width = argument(args(), 0, 'width');
      if (values.isString(operand)) checkIndent(operand.value, values.isInt(width) ? width.value : 4);
      return;
    }
    case 'unique':
    case 'selectattr':
    case 'rejectattr':
      values.checkParts(operand);
      return;
    case 'map': {
      const path = args()[1].get('attribute');
      if (path !== undefined) pathOf(path);
      return;
    }
  }
}

function checkJson(operand: Value, [positional, named]: FilterArguments): void {
  const given = [...positional, ...named.values()];
  const separators = given.filter(values.isList).flatMap((list) => list.value);
  const widths = given.filter(values.isInt).map(({ value }) => value);
  const lengths = separators.filter(values.isString).map(({ value }) => value.length);
  if (widths.some((width) => width > MAX_INDENT)) throw new Error(`an indent is wider than ${MAX_INDENT} characters`);
  const extra = lengths.reduce((sum, length) => sum + length, 0);
  const parts = values.checkParts(operand, extra, Math.max(0, ...widths));
  const sortKeys = named.get('sort_keys');
  if (sortKeys && values.isTruthy(sortKeys) && parts > MAX_SORTED) throw new Error(TOO_MANY_SORTED);
}

function sorted(items: readonly Value[], keyOf: (item: Value) => Value, isCased: boolean, isReverse: boolean): Value {
  if (items.length > MAX_SORTED) throw new Error(TOO_MANY_SORTED);
  const keyed = items.map((item) => ({ item, key: sortKey(keyOf(item), isCased) }));
  values.checkParts(values.list(keyed.map(({ key }) => key)));
  keyed.sort((a, b) => (isReverse ? -compare(a.key, b.key) : compare(a.key, b.key)));
  return values.list(keyed.map(({ item }) => item));
}

function sortKey(value: Value, isCased: boolean): Value {
  return values.isString(value) && !isCased ? values.string(value.value.toLowerCase()) : value;
}

/** Values of different types have no order, except numbers and booleans. */
function compare(left: Value, right: Value): number {
  const [a, b] = [values.numberOf(left), values.numberOf(right)];
  if (a !== undefined && b !== undefined) return order(a, b);
  if (values.isString(left) && values.isString(right)) return order(left.value, right.value);
  if (left.type === right.type && isNothing(left)) return 0;
  throw new Error(`cannot compare ${left.type} with ${right.type}`);
}

function order<T extends string | number>(a: T, b: T): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

/** The value at a path such as `function.name` or `0.name`, or an undefined value. */
function attributeOf(item: Value, path: readonly string[]): Value {
  let value: Value | undefined = item;
  for (const name of path) {
    if (value && (values.isDict(value) || values.isNamespace(value))) value = value.value.get(name);
    else if (value && values.isList(value)) value = value.value[Number.parseInt(name, 10)];
    else value = undefined;
  }
  return value ?? values.undefinedValue();
}

function pathOf(value: Value): readonly string[] {
  if (!values.isString(value) && !values.isInt(value)) throw new Error('attribute must be a string or an integer');
  const path = String(value.value);
  if (path.length > MAX_ARGUMENT) throw new Error(`an attribute is longer than ${MAX_ARGUMENT} characters`);
  return path.split('.');
}

function argument([positional, named]: FilterArguments, at: number, name: string): Value | undefined {
  return positional[at] ?? named.get(name);
}

function flag(given: FilterArguments, at: number, name: string): boolean {
  const value = argument(given, at, name);
  if (value !== undefined && value.type !== 'BooleanValue') throw new Error(`${name} must be a boolean`);
  return value !== undefined && values.isTruthy(value);
}

const isNothing = (value: Value): boolean => values.isNone(value) || values.isUndefined(value);
