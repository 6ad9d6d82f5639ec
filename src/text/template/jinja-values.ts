/**
 * Values of a template as Python has them: how they are made, compared and printed. Touches nothing.
 */
import { Environment, type Value } from '@huggingface/jinja';
import { floatText, quoted } from './python-text.ts';

/** Parts of the largest list or mapping that is printed or compared: a small template can nest one in itself a thousand million times. */
export const MOST_PARTS = 2 ** 20;

type Call = (args: readonly Value[]) => Value;

/** The library keeps its classes to itself: they are taken from values that it makes. */
const classOf = (sample: unknown): (new (value: unknown) => Value) =>
  new Environment().set('sample', sample).constructor as new (
    value: unknown,
  ) => Value;
const Text = classOf('');
const Whole = classOf(0);
const Fraction = classOf(0.5);
const Truth = classOf(true);
const List = classOf([]);
const Dict = classOf({});
const Callable = classOf(() => null);
const None = classOf(null);
const Missing = classOf(undefined);

export const text = (value: string): Value => new Text(value);
export const whole = (value: number): Value => new Whole(value);
export const fraction = (value: number): Value => new Fraction(value);
export const truth = (value: boolean): Value => new Truth(value);
export const list = (value: readonly Value[]): Value => new List(value);
export const dict = (entries: Readonly<Record<string, Value>>): Value => new Dict(new Map(Object.entries(entries)));
export const missing = (): Value => new Missing(undefined);
export const callable = (call: Call): Value => new Callable(call);

export const isText = (value: Value | undefined): value is Value & { readonly value: string } =>
  value?.type === 'StringValue';
export const isWhole = (value: Value | undefined): value is Value & { readonly value: number } =>
  value?.type === 'IntegerValue';
export const isFraction = (value: Value): value is Value & { readonly value: number } => value.type === 'FloatValue';
export const isTruth = (value: Value): value is Value & { readonly value: boolean } => value.type === 'BooleanValue';
export const isList = (value: Value): value is Value & { readonly value: readonly Value[] } => value instanceof List;
export const isDict = (value: Value): value is Value & { readonly value: ReadonlyMap<string, Value> } =>
  value instanceof Dict;
export const isSpace = (value: Value): value is Value & { readonly value: ReadonlyMap<string, Value> } =>
  value.type === 'NamespaceValue';
export const isNone = (value: Value): boolean => value instanceof None;
export const isMissing = (value: Value): boolean => value instanceof Missing;
export const isTrue = (value: Value): boolean => value.__bool__().value;

/** A number, as which Python also takes a truth. */
export function numberOf(value: Value): number | undefined {
  if (isWhole(value) || isFraction(value)) return value.value;
  return isTruth(value) ? Number(value.value) : undefined;
}

export function equal(left: Value, right: Value): boolean {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined || b !== undefined) return a === b;
  if (isList(left) && isList(right)) {
    return (
      left.value.length === right.value.length &&
      left.value.every((item, at) => equal(item, right.value[at] ?? missing()))
    );
  }
  if (isDict(left) && isDict(right)) {
    const same = ([key, item]: [string, Value]): boolean => equal(item, right.value.get(key) ?? callable(missing));
    return left.value.size === right.value.size && [...left.value].every(same);
  }
  return left.type === right.type && left.value === right.value;
}

/** @throws Error when a value has more parts, and parts of parts, than may be looked at. */
export function checkParts(value: Value): void {
  let parts = 0;
  const visit = (part: Value): void => {
    parts += 1;
    if (parts > MOST_PARTS) throw new Error('it makes a list that is too long');
    if (isList(part)) part.value.forEach(visit);
    else if (isDict(part) || isSpace(part)) part.value.forEach(visit);
  };
  visit(value);
}

/** What stands in the prompt where a template prints a value. */
export function printed(value: Value): string {
  if (isText(value)) return value.value;
  checkParts(value);
  return isMissing(value) ? '' : shown(value);
}

/** A value inside a printed list or mapping. */
function shown(value: Value): string {
  if (isText(value)) return quoted(value.value);
  if (isWhole(value)) return String(value.value);
  if (isFraction(value)) return floatText(value.value);
  if (isTruth(value)) return value.value ? 'True' : 'False';
  if (isNone(value)) return 'None';
  if (isMissing(value)) return 'Undefined';
  if (isList(value)) {
    const items = value.value.map(shown);
    if (value.type !== 'TupleValue') return `[${items.join(', ')}]`;
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
  }
  if (isDict(value))
    return `{${Array.from(value.value, ([key, item]) => `${quoted(key)}: ${shown(item)}`).join(', ')}}`;
  throw new Error('a function is no text');
}

/** What a loop goes through: items, keys, or characters. @throws Error on what is none of them */
export function itemsOf(value: Value): readonly Value[] {
  if (isList(value)) return value.value;
  if (isDict(value)) return Array.from(value.value.keys(), text);
  if (isText(value)) return Array.from(value.value, text);
  if (isMissing(value)) return [];
  throw new Error(`cannot go through ${shown(value)}`);
}
