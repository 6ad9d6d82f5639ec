/**
 * Python's operators on the values of a template. Pure.
 */
import type { Value } from '@huggingface/jinja';
import { checkListLength, checkTextLength } from '../render-limits.ts';
import { joined } from './jinja-methods.ts';
import * as values from './jinja-values.ts';
import { indexOf } from './text-search.ts';

/** @throws Error if Python does not define the operator for these types. */
export function operate(operator: string, left: Value, right: Value): Value {
  values.checkParts(left);
  values.checkParts(right);
  switch (operator) {
    case '==':
      return values.bool(values.equal(left, right));
    case '!=':
      return values.bool(!values.equal(left, right));
    case '~':
      return values.string(joined([left, right], ''));
    case 'in':
      return values.bool(isIn(left, right));
    case 'not in':
      return values.bool(!isIn(left, right));
  }
  const [a, b] = [values.numberOf(left), values.numberOf(right)];
  if (a !== undefined && b !== undefined)
    return calculate(operator, a, b, values.isFloat(left) || values.isFloat(right));
  if (values.isString(left) && values.isString(right)) {
    if (operator === '+') {
      checkTextLength(left.value.length + right.value.length);
      return values.string(left.value + right.value);
    }
    return values.bool(compare(operator, left.value, right.value));
  }
  if (operator === '+' && values.isList(left) && values.isList(right)) {
    checkListLength(left.value.length + right.value.length);
    return values.list([...left.value, ...right.value]);
  }
  if (operator === '*' && values.isString(left) && b !== undefined) return repeated(left.value, b);
  if (operator === '*' && a !== undefined && values.isString(right)) return repeated(right.value, a);
  throw new Error(`operator ${operator} does not support these types`);
}

function isIn(part: Value, whole: Value): boolean {
  if (values.isString(whole)) {
    if (!values.isString(part)) throw new Error('operator in does not support these types');
    return indexOf(whole.value, part.value) >= 0;
  }
  if (values.isDict(whole)) return values.isString(part) && whole.value.has(part.value);
  return values.itemsOf(whole).some((item) => values.equal(item, part));
}

function calculate(operator: string, a: number, b: number, isFloat: boolean): Value {
  const numeric = isFloat ? values.float : values.int;
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new Error('division by zero');
  switch (operator) {
    case '+':
      return numeric(a + b);
    case '-':
      return numeric(a - b);
    case '*':
      return numeric(a * b);
    case '/':
      return values.float(a / b);
    case '//':
      return numeric(Math.floor(a / b));
    case '%':
      return numeric(a - b * Math.floor(a / b));
    case '**':
      return isFloat || b < 0 ? values.float(a ** b) : values.int(a ** b);
    default:
      return values.bool(compare(operator, a, b));
  }
}

function compare<T extends string | number>(operator: string, a: T, b: T): boolean {
  switch (operator) {
    case '<':
      return a < b;
    case '>':
      return a > b;
    case '<=':
      return a <= b;
    case '>=':
      return a >= b;
    default:
      throw new Error(`operator ${operator} does not support these types`);
  }
}

function repeated(text: string, times: number): Value {
  checkTextLength(text.length * times);
  return values.string(text.repeat(Math.max(0, times)));
}
