/** The numbers of JSON without bounds, as an automaton. Pure. */
import type { CharAutomaton } from '../../program.ts';
import { automatonOf } from './machine.ts';

/** Maximum number of digits of an integer, and of the part of a number before its point. */
export const MAX_INTEGER_DIGITS = 60;
/** Maximum number of digits after the point of a number without bounds; JSON.stringify prints up to 23. */
export const MAX_FRACTION_DIGITS = 25;
/** Maximum number of digits between the point and the exponent. */
const MAX_MANTISSA_DIGITS = 20;
/** Digits after the point of the greatest double, `1.…e308`. */
const GREATEST = '7976931348623157';

interface Text {
  readonly part: 'start' | 'minus' | 'zero' | 'whole' | 'fraction' | 'e' | 'plus' | 'below' | Exponent;
  /** Digits of this part. */
  readonly count: number;
  /** A minus and only zeros: no number, because JSON.stringify writes 0. */
  readonly minusZero: boolean;
  /** One digit other than 0 stands before the point, so that an exponent can follow. */
  readonly scientific: boolean;
  /** The number can have the exponent 308: it is at most `1.…`; `equal` to its first digits so far. */
  readonly greatest: 'equal' | 'less' | 'never';
}

/** The digits of an exponent that can still follow, with those before. */
type Exponent =
  /** One or two more of any digits; none. */
  | 'one more'
  | 'two more'
  | 'full'
  /** After `3`, and after `30`, of a positive exponent. */
  | '3'
  | '30'
  /** After `3`, and after `32`, of a negative one: the least is -324. */
  | '-3'
  | '-32';

const START: Text = { part: 'start', count: 0, minusZero: false, scientific: false, greatest: 'never' };

const DIGITS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'] as const;
type Digit = (typeof DIGITS)[number];
type NumberSymbol = Digit | '-' | '+' | '.' | 'e';

const SYMBOLS: readonly (readonly [NumberSymbol, ...string[]])[] = [
  ...DIGITS.map((digit) => [digit, digit] as const),
  ['-', '-'],
  ['+', '+'],
  ['.', '.'],
  ['e', 'E', 'e'],
];

function after(text: Text, symbol: NumberSymbol): Text | undefined {
  const { part, count, scientific } = text;
  switch (symbol) {
    case '-':
      if (part === 'e') return { ...START, part: 'below' };
      return part === 'start' ? { ...START, part: 'minus', minusZero: true } : undefined;
    case '+':
      return part === 'e' ? { ...text, part: 'plus' } : undefined;
    case '.':
      return part === 'zero' || part === 'whole' ? { ...text, part: 'fraction', count: 0 } : undefined;
    case 'e': {
      const isWhole = part === 'whole' && count === 1;
      const isFraction = part === 'fraction' && scientific && count > 0 && count <= MAX_MANTISSA_DIGITS;
      return isWhole || isFraction
        ? { ...START, part: 'e', greatest: text.greatest === 'never' ? 'never' : 'less' }
        : undefined;
    }
    default:
      return afterDigit(text, symbol);
  }
}

function afterDigit(text: Text, digit: Digit): Text | undefined {
  const { part, count, minusZero, scientific } = text;
  switch (part) {
    case 'start':
    case 'minus':
      if (digit === '0') return { ...text, part: 'zero' };
      return {
        part: 'whole',
        count: 1,
        minusZero: false,
        scientific: true,
        greatest: digit === '1' ? 'equal' : 'never',
      };
    case 'zero':
      return undefined;
    case 'whole':
      return count < MAX_INTEGER_DIGITS ? { ...START, part, count: count + 1 } : undefined;
    case 'fraction':
      if (count === MAX_FRACTION_DIGITS) return undefined;
      return {
        part,
        count: count + 1,
        minusZero: minusZero && digit === '0',
        scientific,
        greatest: compared(text, digit),
      };
    default: {
      const next = exponentAfter(part, digit, text.greatest !== 'never');
      return next && { ...text, part: next };
    }
  }
}

/** Compares one more digit after the point with the greatest double. */
function compared({ count, greatest }: Text, digit: Digit): Text['greatest'] {
  if (greatest === 'never' || count >= GREATEST.length) return 'never';
  if (greatest === 'less') return 'less';
  const other = GREATEST[count] ?? '';
  return digit === other ? 'equal' : digit < other ? 'less' : 'never';
}

function exponentAfter(part: Text['part'], digit: Digit, reaches308: boolean): Exponent | undefined {
  switch (part) {
    case 'e':
    case 'plus':
      return digit === '3' ? '3' : digit === '1' || digit === '2' ? 'two more' : 'one more';
    case 'below':
      return digit === '3' ? '-3' : digit === '1' || digit === '2' ? 'two more' : 'one more';
    case 'two more':
      return 'one more';
    case 'one more':
      return 'full';
    case '3':
      return digit === '0' ? '30' : 'full';
    case '30':
      return digit < '8' || (digit === '8' && reaches308) ? 'full' : undefined;
    case '-3':
      return digit < '2' ? 'one more' : digit === '2' ? '-32' : 'full';
    case '-32':
      return digit < '5' ? 'full' : undefined;
    default:
      return undefined;
  }
}

const isComplete = ({ part, count, minusZero }: Text): boolean => {
  if (part === 'fraction') return count > 0 && !minusZero;
  return !['start', 'minus', 'e', 'plus', 'below'].includes(part) && !minusZero;
};

const keyOf = ({ part, count, minusZero, scientific, greatest }: Text): string =>
  `${part} ${count} ${minusZero} ${scientific} ${greatest}`;

const machine = { symbols: SYMBOLS, start: START, key: keyOf, next: after, accepts: isComplete };

/** Every spelling that JSON.stringify gives a finite double, and others: `1.50`, `12e3`. */
export const anyNumberAutomaton = (): CharAutomaton => automatonOf(machine);

/** The same numbers without a point and an exponent. */
export const anyIntegerAutomaton = (): CharAutomaton =>
  automatonOf({
    ...machine,
    next: (text, symbol) => (symbol === '.' || symbol === 'e' ? undefined : after(text, symbol)),
  });
