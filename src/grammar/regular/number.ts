/** Numbers of JSON as automata over characters. Pure. */
import type { Budget } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import type { CharAutomaton } from '../program.ts';
import {
  checkSize,
  comparison,
  type Decimal,
  decimalOf,
  decimalOfInteger,
  fractionDigits,
  fractionForm,
  isZero,
  multiples,
  type Tracker,
  together,
  wholeForm,
} from './decimals.ts';
import { anyIntegerAutomaton, anyNumberAutomaton, MAX_INTEGER_DIGITS } from './formats/any-number.ts';
import { finish, type Raw } from './minimize.ts';
import { unite } from './operations.ts';

/** The keywords of JSON Schema about the size of a number; doubles, as JSON.parse reads them. */
export interface NumberBounds {
  readonly integer: boolean;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly exclusiveMinimum?: number | undefined;
  readonly exclusiveMaximum?: number | undefined;
  readonly multipleOf?: number | undefined;
}

/** Decimals of so many significant digits are read as doubles that differ. */
const EXACT_DIGITS = 15;
/** Maximum of a `multipleOf` without its power of ten: each remainder is a state. */
export const MAX_FACTOR = 1000;
/** Zeros after `0.`, besides those that a bound has. */
const SPARE_ZEROS = 9;

/**
 * The texts of JSON numbers in these bounds, without leading zeros. Without bounds, a number can have every
 * spelling that JSON.stringify gives a finite double. With a bound or `multipleOf`, a number has no exponent,
 * and at most 15 significant digits if it has a point; so its double is inside of the bounds if its text is.
 *
 * @returns undefined if there is no such number
 * @throws GrammarError with an empty path: `invalid` or `unsupported` multipleOf; `too_complex`
 */
export function numberAutomaton(bounds: NumberBounds, budget: Budget): CharAutomaton | undefined {
  const step = stepOf(bounds.multipleOf);
  const lower = limitOf(bounds.minimum, bounds.exclusiveMinimum, 1);
  const upper = limitOf(bounds.maximum, bounds.exclusiveMaximum, -1);
  if (!step && !lower && !upper) return unbounded(bounds.integer);
  if (lower?.value === Number.POSITIVE_INFINITY || upper?.value === Number.NEGATIVE_INFINITY) return undefined;
  const whole = integersIn(lower, upper, step, budget);
  if (bounds.integer || step?.digits === 0) return whole;
  const fractions = fractionsIn(lower, upper, step, budget);
  return whole && fractions ? unite([whole, fractions], budget) : (whole ?? fractions);
}

const known = new Map<boolean, CharAutomaton>();

/** The numbers without bounds, built once. */
function unbounded(integer: boolean): CharAutomaton {
  const automaton = known.get(integer) ?? (integer ? anyIntegerAutomaton() : anyNumberAutomaton());
  known.set(integer, automaton);
  return automaton;
}

interface Limit {
  readonly value: number;
  readonly exclusive: boolean;
}

/**
 * The stronger one of two bounds.
 *
 * @param sign 1 for lower bounds, -1 for upper ones
 * @returns undefined if there is none, or one that every number meets
 */
function limitOf(inclusive: number | undefined, exclusive: number | undefined, sign: 1 | -1): Limit | undefined {
  const limits: Limit[] = [];
  if (exclusive !== undefined) limits.push({ value: exclusive, exclusive: true });
  if (inclusive !== undefined) limits.push({ value: inclusive, exclusive: false });
  const [a, b] = limits;
  const limit = a && b && sign * (b.value - a.value) > 0 ? b : a;
  if (!limit || limit.value === -sign * Number.POSITIVE_INFINITY) return undefined;
  checkSize(limit.value);
  return limit;
}

/** A `multipleOf` of `factor / 10 ** digits`. */
interface Step {
  readonly factor: number;
  readonly digits: number;
}

function stepOf(multipleOf: number | undefined): Step | undefined {
  if (multipleOf === undefined) return undefined;
  if (!(multipleOf > 0)) throw new GrammarError('invalid', [], 'is not a valid multipleOf; use a number above 0');
  const unsupported = new GrammarError(
    'unsupported',
    [],
    `is not supported with this value; use an integer up to ${MAX_FACTOR}, or one divided by a power of ten`,
  );
  if (multipleOf > MAX_FACTOR || multipleOf < 1e-15) throw unsupported;
  const { whole, fraction } = decimalOf(multipleOf);
  const factor = Number(whole + fraction);
  if (factor > MAX_FACTOR) throw unsupported;
  return { factor, digits: fraction.length };
}

/** Significant digits of a multiple without bounds: fewer for a factor that needs many states. */
const digitsOfMultiples = ({ factor }: Step): number => (factor <= 64 ? EXACT_DIGITS : factor <= 256 ? 9 : 6);

function integersIn(
  lower: Limit | undefined,
  upper: Limit | undefined,
  step: Step | undefined,
  budget: Budget,
): CharAutomaton | undefined {
  const least = lower && integerAtLeast(lower);
  let greatest = upper && negative(integerAtLeast({ ...upper, value: -upper.value }));
  if ((lower && least === undefined) || (upper && greatest === undefined)) return undefined;
  const length = (value: bigint | undefined): number =>
    value === undefined ? 0 : decimalOfInteger(value).whole.length;
  const longest = Math.max(length(least), length(greatest));
  let digits = Math.max(MAX_INTEGER_DIGITS, longest + 1);
  if (step) digits = Math.min(EXACT_DIGITS, Math.max(digitsOfMultiples(step), longest));
  if (digits > 308 && (greatest === undefined || greatest > MAX_DOUBLE)) greatest = MAX_DOUBLE;
  const shared = step ? [wholeForm(digits), multiples(step.factor, step.digits)] : [wholeForm(digits)];
  return signed(
    shared,
    least === undefined ? undefined : { bound: decimalOfInteger(least), exclusive: false },
    greatest === undefined ? undefined : { bound: decimalOfInteger(greatest), exclusive: false },
    budget,
  );
}

const MAX_DOUBLE = BigInt(Number.MAX_VALUE);
const negative = (value: bigint | undefined): bigint | undefined => (value === undefined ? undefined : -value);

/**
 * The least integer whose double is inside of a lower bound.
 * @returns undefined if there is none
 */
function integerAtLeast({ value, exclusive }: Limit): bigint | undefined {
  if (Math.abs(value) < Number.MAX_SAFE_INTEGER) return BigInt(exclusive ? Math.floor(value) + 1 : Math.ceil(value));
  if (!exclusive) return least(BigInt(value), integerOf(decimalOf(value)));
  const above = nextAbove(value);
  return above === Number.POSITIVE_INFINITY ? undefined : BigInt(above);
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const integerOf = ({ negative: isNegative, whole }: Decimal): bigint => (isNegative ? -BigInt(whole) : BigInt(whole));

/** The next double above one that is not 0. */
function nextAbove(value: number): number {
  const bits = new BigInt64Array(new Float64Array([value]).buffer);
  bits[0] = (bits[0] ?? 0n) + (value > 0 ? 1n : -1n);
  return new Float64Array(bits.buffer)[0] ?? value;
}

function fractionsIn(
  lower: Limit | undefined,
  upper: Limit | undefined,
  step: Step | undefined,
  budget: Budget,
): CharAutomaton | undefined {
  const bounds = [lower, upper].map((limit) => limit && { bound: decimalOf(limit.value), exclusive: limit.exclusive });
  const zeros = bounds.map((limit) => /^0*/.exec(limit?.bound.fraction ?? '')?.[0].length ?? 0);
  const digits = step ? digitsOfMultiples(step) : EXACT_DIGITS;
  const form = fractionForm(SPARE_ZEROS + Math.max(...zeros), digits);
  const shared = step
    ? [form, step.factor === 1 ? fractionDigits(step.digits) : multiples(step.factor, step.digits)]
    : [form];
  return signed(shared, bounds[0], bounds[1], budget);
}

interface Bound {
  readonly bound: Decimal;
  readonly exclusive: boolean;
}

/** The numbers between the bounds that all trackers accept, and their signs. */
function signed(
  shared: readonly Tracker[],
  lower: Bound | undefined,
  upper: Bound | undefined,
  budget: Budget,
): CharAutomaton | undefined {
  const positive = between(lower, upper);
  const negatives = between(belowZero(upper), opposite(lower));
  const plus = positive && together([...shared, ...positive], budget);
  const minus = negatives && together([...shared, ...negatives], budget);
  return finish(withSigns(plus, minus), budget);
}

const opposite = (limit: Bound | undefined): Bound | undefined =>
  limit && { ...limit, bound: { ...limit.bound, negative: !limit.bound.negative && !isZero(limit.bound) } };

const ZERO: Bound = { bound: decimalOf(0), exclusive: true };

/** The lower bound of the absolute values of negative numbers. 0 is no such number: JSON has one zero. */
function belowZero(upper: Bound | undefined): Bound {
  const bound = opposite(upper);
  return !bound || bound.bound.negative || isZero(bound.bound) ? ZERO : bound;
}

/** Trackers of the numbers from 0 on between the bounds; undefined if there are none. */
function between(lower: Bound | undefined, upper: Bound | undefined): Tracker[] | undefined {
  const trackers: Tracker[] = [];
  if (upper?.bound.negative) return undefined;
  if (upper) trackers.push(comparison(upper.bound, 'less', upper.exclusive));
  if (lower && !lower.bound.negative && !(isZero(lower.bound) && !lower.exclusive))
    trackers.push(comparison(lower.bound, 'greater', lower.exclusive));
  return trackers;
}

/** A choice of numbers without and with a minus. */
function withSigns(plus: Raw | undefined, minus: Raw | undefined): Raw {
  const shifted = (raw: Raw | undefined, by: number): number[][] =>
    (raw?.edges ?? []).map((row) => row.map((value, at) => (at % 3 === 2 ? value + by : value)));
  const second = 1 + (plus?.accepts.length ?? 0);
  const positive = shifted(plus, 1);
  const edges = [[...(minus ? [0x2d, 0x2d, second] : []), ...(positive[0] ?? [])], ...positive];
  const accepts = [false, ...(plus?.accepts ?? [])];
  return { edges: [...edges, ...shifted(minus, second)], accepts: [...accepts, ...(minus?.accepts ?? [])] };
}
