/**
 * Python's operators on the values of a template. Touches nothing.
 */
import type { Value } from '@huggingface/jinja';
import { joined, LONGEST_TEXT } from './jinja-methods.ts';
import * as values from './jinja-values.ts';

/** @throws Error when Python has no such operator between the two. */
export function operate(operator: string, left: Value, right: Value): Value {
  values.checkParts(left);
  values.checkParts(right);
  switch (operator) {
    case '==':
      return values.truth(values.equal(left, right));
    case '!=':
      return values.truth(!values.equal(left, right));
    case '~':
      return values.text(joined([left, right], ''));
    case 'in':
      return values.truth(isIn(left, right));
    case 'not in':
      return values.truth(!isIn(left, right));
  }
  const [a, b] = [values.numberOf(left), values.numberOf(right)];
  if (a !== undefined && b !== undefined)
    return calculate(operator, a, b, values.isFraction(left) || values.isFraction(right));
  if (values.isText(left) && values.isText(right)) {
    if (operator === '+') return values.text(left.value + right.value);
    return values.truth(compare(operator, left.value, right.value));
  }
  if (operator === '+' && values.isList(left) && values.isList(right))
    return values.list([...left.value, ...right.value]);
  if (operator === '*' && values.isText(left) && b !== undefined) return repeated(left.value, b);
  if (operator === '*' && a !== undefined && values.isText(right)) return repeated(right.value, a);
  throw new Error(`${operator} is not for these values`);
}

function isIn(part: Value, whole: Value): boolean {
  if (values.isText(whole)) {
    if (!values.isText(part)) throw new Error('in is not for these values');
    return whole.value.includes(part.value);
  }
  if (values.isDict(whole)) return values.isText(part) && whole.value.has(part.value);
  return values.itemsOf(whole).some((item) => values.equal(item, part));
}

function calculate(operator: string, a: number, b: number, fractional: boolean): Value {
  const made = fractional ? values.fraction : values.whole;
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new Error('division by zero');
  switch (operator) {
    case '+':
      return made(a + b);
    case '-':
      return made(a - b);
    case '*':
      return made(a * b);
    case '/':
      return values.fraction(a / b);
    case '//':
      return made(Math.floor(a / b));
    case '%':
      return made(a - b * Math.floor(a / b));
    case '**':
      return fractional || b < 0 ? values.fraction(a ** b) : values.whole(a ** b);
    default:
      return values.truth(compare(operator, a, b));
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
      throw new Error(`${operator} is not for these values`);
  }
}

function repeated(text: string, times: number): Value {
  if (text.length * times > LONGEST_TEXT) throw new Error('it makes a text that is too long');
  return values.text(text.repeat(Math.max(0, times)));
}
