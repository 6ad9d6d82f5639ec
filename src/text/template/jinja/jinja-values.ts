/**
 * Creates, compares and prints the values of a template as Python does. Pure.
 */
import { Environment, type Value } from '@huggingface/jinja';
import { checkListLength, checkTextLength } from '../render-limits.ts';
import { floatRepr, lengthOf, stringRepr } from './python-text.ts';

type Call = (args: readonly Value[]) => Value;

/**
 * The library does not export its value classes. `classOf` takes them from values that it creates.
 */
const classOf = (sample: unknown): (new (value: unknown) => Value) =>
  new Environment().set('sample', sample).constructor as new (
    value: unknown,
  ) => Value;
const StringValue = classOf('');
const IntValue = classOf(0);
const FloatValue = classOf(0.5);
const BoolValue = classOf(true);
const ListValue = classOf([]);
const DictValue = classOf({});
const CallableValue = classOf(() => null);
const NoneValue = classOf(null);
const UndefinedValue = classOf(undefined);

export const string = (value: string): Value => new StringValue(value);
export const int = (value: number): Value => new IntValue(value);
export const float = (value: number): Value => new FloatValue(value);
export const bool = (value: boolean): Value => new BoolValue(value);
export const list = (value: readonly Value[]): Value => new ListValue(value);
export const dict = (entries: Readonly<Record<string, Value>>): Value =>
  new DictValue(new Map(Object.entries(entries)));
export const undefinedValue = (): Value => new UndefinedValue(undefined);
export const callable = (call: Call): Value => new CallableValue(call);

export const isString = (value: Value | undefined): value is Value & { readonly value: string } =>
  value?.type === 'StringValue';
export const isInt = (value: Value | undefined): value is Value & { readonly value: number } =>
  value?.type === 'IntegerValue';
export const isFloat = (value: Value): value is Value & { readonly value: number } => value.type === 'FloatValue';
const isBool = (value: Value): value is Value & { readonly value: boolean } => value.type === 'BooleanValue';
export const isList = (value: Value): value is Value & { readonly value: readonly Value[] } =>
  value instanceof ListValue;
export const isDict = (value: Value): value is Value & { readonly value: ReadonlyMap<string, Value> } =>
  value instanceof DictValue;
export const isNamespace = (value: Value): value is Value & { readonly value: ReadonlyMap<string, Value> } =>
  value.type === 'NamespaceValue';
export const isNone = (value: Value): boolean => value instanceof NoneValue;
export const isUndefined = (value: Value): boolean => value instanceof UndefinedValue;
export const isTruthy = (value: Value): boolean => value.__bool__().value;

/** Value of a number. As in Python, a boolean counts as 0 or 1. */
export function numberOf(value: Value): number | undefined {
  if (isInt(value) || isFloat(value)) return value.value;
  return isBool(value) ? Number(value.value) : undefined;
}

export function equal(left: Value, right: Value): boolean {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined || b !== undefined) return a === b;
  if (isList(left) && isList(right)) {
    return (
      left.value.length === right.value.length &&
      left.value.every((item, at) => equal(item, right.value[at] ?? undefinedValue()))
    );
  }
  if (isDict(left) && isDict(right)) {
    const same = ([key, item]: [string, Value]): boolean =>
      equal(item, right.value.get(key) ?? callable(undefinedValue));
    return left.value.size === right.value.size && [...left.value].every(same);
  }
  return left.type === right.type && left.value === right.value;
}

/**
 * Checks a value whose nested items are all printed, compared or sorted.
 * @param extra units of text that are printed with each item
 * @param indent units of text that are printed with each item for each level of its depth
 * @returns number of nested items
 * @throws Error if it has more than `MAX_PARTS` nested items, or more text than the longest string
 */
export function checkParts(value: Value, extra = 0, indent = 0): number {
  let parts = 0;
  let text = 0;
  const visit = (part: Value, depth: number): void => {
    parts += 1;
    text += extra + indent * depth + (isString(part) ? part.value.length : 0);
    checkListLength(parts);
    checkTextLength(text);
    if (isList(part)) for (const item of part.value) visit(item, depth + 1);
    else if (isDict(part) || isNamespace(part)) {
      for (const [key, item] of part.value) {
        text += key.length;
        visit(item, depth + 1);
      }
    }
  };
  visit(value, 0);
  return parts;
}

/** Size of a value's own memory: characters of a string, items of a list or mapping. */
export function sizeOf(value: Value): number {
  if (isString(value) || isList(value)) return value.value.length;
  return isDict(value) || isNamespace(value) ? value.value.size : 0;
}

/** Text that `{{ value }}` prints (Python's `str()`). */
export function toText(value: Value): string {
  if (isString(value)) return value.value;
  checkParts(value);
  return isUndefined(value) ? '' : repr(value);
}

/** A value inside a printed list or mapping (Python's `repr()`). */
function repr(value: Value): string {
  if (isString(value)) return stringRepr(value.value);
  if (isInt(value)) return String(value.value);
  if (isFloat(value)) return floatRepr(value.value);
  if (isBool(value)) return value.value ? 'True' : 'False';
  if (isNone(value)) return 'None';
  if (isUndefined(value)) return 'Undefined';
  if (isList(value)) {
    const items = value.value.map(repr);
    if (value.type !== 'TupleValue') return `[${items.join(', ')}]`;
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
  }
  if (isDict(value))
    return `{${Array.from(value.value, ([key, item]) => `${stringRepr(key)}: ${repr(item)}`).join(', ')}}`;
  throw new Error('a function cannot be printed');
}

/**
 * Items that a loop iterates over: items of a list, keys of a mapping, or characters of a string.
 * @throws Error for any other value.
 */
export function itemsOf(value: Value): readonly Value[] {
  if (isList(value)) return value.value;
  if (isDict(value)) return Array.from(value.value.keys(), string);
  if (isString(value)) {
    checkListLength(lengthOf(value.value));
    return Array.from(value.value, string);
  }
  if (isUndefined(value)) return [];
  throw new Error(`cannot iterate over ${repr(value)}`);
}
