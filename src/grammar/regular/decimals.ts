/** Decimal numbers as texts, and trackers that follow the digits of a text of a number. Pure. */
import { type Budget, MAX_STATES } from '../budget.ts';
import { GrammarError } from '../grammar-error.ts';
import { addRange, type Raw } from './minimize.ts';
import { tooManyStates } from './nfa.ts';

/** An exact decimal number: its digits before and after the point. */
export interface Decimal {
  readonly negative: boolean;
  /** Without leading zeros; `0` if there are none. */
  readonly whole: string;
  /** Without trailing zeros. */
  readonly fraction: string;
}

/** The decimal of the shortest text of a finite double, as JSON.stringify prints it. */
export function decimalOf(value: number): Decimal {
  const [, mantissa = '0', fraction = '', exponent = '0'] =
    /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(Math.abs(value))) ?? [];
  const shift = Number(exponent);
  const whole = shift < 0 ? '' : mantissa + fraction.slice(0, shift).padEnd(shift, '0');
  const rest = shift < 0 ? '0'.repeat(-shift - mantissa.length) + mantissa + fraction : fraction.slice(shift);
  return { negative: value < 0, whole: whole.replace(/^0+(?=.)|^$/, '') || '0', fraction: rest.replace(/0+$/, '') };
}

export const decimalOfInteger = (value: bigint): Decimal => ({
  negative: value < 0n,
  whole: String(value < 0n ? -value : value),
  fraction: '',
});

export const isZero = ({ whole, fraction }: Decimal): boolean => whole === '0' && fraction === '';

/** A digit as its value, or the point. */
export type NumeralSymbol = number;
const POINT = 10;
/** In the order of their characters. */
const SYMBOLS: readonly NumeralSymbol[] = [POINT, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
export const DEAD = -1;

/** A small automaton over the digits and the point of a number without its sign. Its states are numbers. */
export interface Tracker {
  /** States are smaller than this number. */
  readonly size: number;
  readonly start: number;
  /** The state after a symbol, or DEAD. */
  next(state: number, symbol: NumeralSymbol): number;
  accepts(state: number): boolean;
}

/** An integer without leading zeros, of at most `most` digits. States: digits; `most + 1` is a zero. */
export function wholeForm(most: number): Tracker {
  return {
    size: most + 2,
    start: 0,
    next: (state, symbol) => {
      if (symbol === POINT || state >= most) return DEAD;
      return state === 0 && symbol === 0 ? most + 1 : state + 1;
    },
    accepts: (state) => state > 0,
  };
}

/**
 * A number with a point, and without leading zeros.
 *
 * @param zeros maximum number of zeros after `0.`
 * @param most maximum number of significant digits
 */
export function fractionForm(zeros: number, most: number): Tracker {
  // 0: start; 1…most: digits of the integer; then `0`; then `0.` with 0…zeros zeros; then fractions.
  const zero = most + 1;
  const afterZero = most + 2;
  const fractions = afterZero + zeros + 1;
  return {
    size: fractions + 2 * most + 2,
    start: 0,
    next: (state, symbol) => {
      if (state <= zero) {
        if (symbol === POINT) return state === 0 ? DEAD : state === zero ? afterZero : fractions + state;
        if (state === 0 && symbol === 0) return zero;
        return state < most ? state + 1 : DEAD;
      }
      if (symbol === POINT) return DEAD;
      if (state < fractions) {
        if (symbol === 0) return state + 1 < fractions ? state + 1 : DEAD;
        return fractions + most + 2;
      }
      return fractionDigit(state - fractions, most, fractions);
    },
    accepts: (state) => (state > afterZero && state < fractions) || state - fractions > most,
  };
}

/**
 * States from `fractions` on: `n` for n digits and a point without a digit after it, `most + 1 + n` for n
 * digits, at least one of them after the point.
 */
function fractionDigit(place: number, most: number, fractions: number): number {
  const digits = (place > most ? place - most - 1 : place) + 1;
  return digits > most ? DEAD : fractions + most + 1 + digits;
}

/** Comparison of the number read so far with a bound. */
const LESS = 0;
const GREATER = 1;
/** From here on: `3 * digits + order` for integer digits of a number that is not longer than the bound. */
const WHOLE = 2;

/**
 * Numbers at most, or at least, the absolute value of a bound.
 *
 * @param side the numbers that are accepted besides an equal one
 */
export function comparison(bound: Decimal, side: 'less' | 'greater', exclusive: boolean): Tracker {
  const { whole, fraction } = bound;
  const length = whole.length;
  const fractions = WHOLE + 3 * (length + 1);
  const wanted = side === 'less' ? LESS : GREATER;
  const decided = (order: number): number => ((order === LESS || order === GREATER) && order !== wanted ? DEAD : order);
  const EQUAL = 2;
  const orderOf = (digit: number, other: string | undefined): number =>
    digit === Number(other) ? EQUAL : digit < Number(other) ? LESS : GREATER;
  const atEnd = (state: number): number => {
    if (state < WHOLE) return state;
    if (state >= fractions) return state - fractions < fraction.length ? LESS : EQUAL;
    const digits = Math.floor((state - WHOLE) / 3);
    if (digits < length) return LESS;
    const order = (state - WHOLE) % 3;
    return order === EQUAL && fraction !== '' ? LESS : order;
  };
  return {
    size: fractions + fraction.length + 1,
    start: WHOLE + EQUAL,
    next: (state, symbol) => {
      if (state < WHOLE) return state;
      if (state >= fractions) {
        if (symbol === POINT) return DEAD;
        const at = state - fractions;
        const order = orderOf(symbol, fraction[at] ?? '0');
        return order === EQUAL ? fractions + Math.min(at + 1, fraction.length) : decided(order);
      }
      const digits = Math.floor((state - WHOLE) / 3);
      const order = (state - WHOLE) % 3;
      if (symbol === POINT) {
        if (digits < length) return decided(LESS);
        return order === EQUAL ? fractions : decided(order);
      }
      if (digits === length) return decided(GREATER);
      const next = order === EQUAL ? orderOf(symbol, whole[digits]) : order;
      return digits + 1 === length && side === 'less' && next === GREATER ? DEAD : WHOLE + 3 * (digits + 1) + next;
    },
    accepts: (state) => {
      const order = atEnd(state);
      return order === wanted || (order === EQUAL && !exclusive);
    },
  };
}

/** Numbers with at most this many digits after the point. */
export function fractionDigits(most: number): Tracker {
  return {
    size: most + 2,
    start: 0,
    next: (state, symbol) => {
      if (symbol === POINT) return 1;
      return state === 0 ? 0 : state > most ? DEAD : state + 1;
    },
    accepts: () => true,
  };
}

/** Multiples of `factor / 10 ** digits`, with at most `digits` digits after the point. */
export function multiples(factor: number, digits: number): Tracker {
  // `factor * phase + remainder`; phase 0: before the point; n + 1: after n digits behind it.
  const scales: number[] = [1 % factor];
  for (let at = 1; at <= digits; at += 1) scales.push(((scales[at - 1] ?? 0) * 10) % factor);
  return {
    size: factor * (digits + 2),
    start: 0,
    next: (state, symbol) => {
      const phase = Math.floor(state / factor);
      if (symbol === POINT) return phase === 0 ? state + factor : DEAD;
      if (phase > digits) return DEAD;
      const remainder = ((state % factor) * 10 + symbol) % factor;
      return (phase === 0 ? 0 : phase + 1) * factor + remainder;
    },
    accepts: (state) => {
      const behind = Math.max(0, Math.floor(state / factor) - 1);
      return ((state % factor) * (scales[digits - behind] ?? 0)) % factor === 0;
    },
  };
}

/** The texts that all trackers accept. */
export function together(trackers: readonly Tracker[], budget: Budget): Raw {
  const numbers = new Map<number, number>();
  /** The states of all trackers, place by place. */
  const states: number[] = trackers.map(({ start }) => start);
  const width = trackers.length;
  const edges: number[][] = [];
  const accepts: boolean[] = [];
  const next: number[] = [];
  const numberOf = (): number => {
    let key = 0;
    for (let at = 0; at < width; at += 1) key = key * (trackers[at]?.size ?? 1) + (next[at] ?? 0);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    if (numbers.size >= MAX_STATES) throw tooManyStates();
    const number = states.push(...next) / width - 1;
    numbers.set(key, number);
    return number;
  };
  for (let place = 0; place * width < states.length; place += 1) {
    const row: number[] = [];
    budget.step(5);
    for (const symbol of SYMBOLS) {
      let at = 0;
      for (; at < width; at += 1) {
        const state = trackers[at]?.next(states[place * width + at] ?? 0, symbol) ?? DEAD;
        if (state === DEAD) break;
        next[at] = state;
      }
      if (at < width) continue;
      const code = symbol === POINT ? 0x2e : 0x30 + symbol;
      addRange(row, code, code, numberOf());
    }
    edges.push(row);
    accepts.push(trackers.every((tracker, at) => tracker.accepts(states[place * width + at] ?? 0)));
  }
  return { edges, accepts };
}

/** Checks that a bound is not so near to zero that a text of few digits cannot tell it from zero. */
export function checkSize(bound: number): void {
  if (bound !== 0 && Math.abs(bound) < 1e-200)
    throw new GrammarError('unsupported', [], 'has a bound that is smaller than 1e-200; use 0');
}
