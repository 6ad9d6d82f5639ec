/** Numbers as automata: every text is inside of the bounds, and every short number in them is accepted. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NumberBounds, numberAutomaton } from '../../../src/grammar/regular/number.ts';
import { subtract } from '../../../src/grammar/regular/operations.ts';
import { patternAutomaton } from '../../../src/grammar/regular/pattern.ts';
import { matches } from '../../../src/grammar/regular/words.ts';
import { expectWellFormed, problemOf, untimed, walk } from './support.ts';

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** True if the double of a text is inside of the bounds, and the text is a multiple, by exact arithmetic. */
function isInside(text: string, bounds: NumberBounds): boolean {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  if (bounds.integer && !Number.isInteger(value)) return false;
  if (bounds.minimum !== undefined && value < bounds.minimum) return false;
  if (bounds.maximum !== undefined && value > bounds.maximum) return false;
  if (bounds.exclusiveMinimum !== undefined && value <= bounds.exclusiveMinimum) return false;
  if (bounds.exclusiveMaximum !== undefined && value >= bounds.exclusiveMaximum) return false;
  return bounds.multipleOf === undefined || isMultiple(text, bounds.multipleOf);
}

/** Both as integers of the same scale. */
function isMultiple(text: string, multipleOf: number): boolean {
  const step = multipleOf.toFixed(20);
  const scaled = (decimal: string): bigint => {
    const [whole = '', fraction = ''] = decimal.replace('-', '').split('.');
    return BigInt(whole + fraction.padEnd(20, '0'));
  };
  const shortest = /e/.test(String(multipleOf)) ? step : String(multipleOf);
  return scaled(text) % scaled(shortest) === 0n;
}

const bound = fc.oneof(
  fc.integer({ min: -30, max: 30 }),
  fc.integer({ min: -2000, max: 2000 }).map((value) => value / 100),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    -0,
    0.1,
    1e3,
    0.1 + 0.2,
    -1e-7,
    1e21,
    2 ** 53,
    -(2 ** 53),
    2 ** 53 + 2,
    1e-9,
    123.456,
    9.995,
    1e300,
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => value === 0 || Math.abs(value) > 1e-20),
);
const bounds = fc
  .record(
    {
      integer: fc.boolean(),
      minimum: bound,
      maximum: bound,
      exclusiveMinimum: bound,
      exclusiveMaximum: bound,
      multipleOf: fc.constantFrom(1, 2, 3, 7, 10, 25, 100, 0.1, 0.01, 0.5, 0.25, 2.5, 0.000001, 1.2),
    },
    { requiredKeys: ['integer'] },
  )
  .filter(
    ({ minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf }) =>
      multipleOf === undefined ||
      [minimum, maximum, exclusiveMinimum, exclusiveMaximum].every((one) => one === undefined || Math.abs(one) < 1e12),
  );

/** Decimals of few digits near a number. */
function near(value: number | undefined, offset: number, digits: number): string {
  const text = ((value ?? 0) + offset / 10 ** digits).toFixed(digits);
  return Math.abs(Number(text)) < 1e15 ? text : String(offset);
}

/** Texts that the automaton must accept if they are inside: at most 15 digits, and no useless zeros. */
function isShort(text: string, { multipleOf }: NumberBounds): boolean {
  const digits = text.replace(/^-?(?:0\.0*)?|\./g, '').length;
  const decimals =
    multipleOf === undefined ? 8 : (String(multipleOf.toFixed(8)).replace(/0+$/, '').split('.')[1] ?? '').length;
  return (
    digits <= 15 &&
    (text.split('.')[1] ?? '').length <= decimals &&
    !(multipleOf !== undefined && /\.0*$/.test(text) && decimals === 0)
  );
}

describe('the automaton of a number in bounds', () => {
  test('accepts only numbers in them, and every short one', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(
        bounds,
        fc.array(fc.tuple(fc.nat(3), fc.integer({ min: -40, max: 40 }), fc.nat(6)), { minLength: 20, maxLength: 20 }),
        fc.array(fc.array(fc.nat(), { minLength: 90, maxLength: 90 }), { minLength: 15, maxLength: 15 }),
        (drawn, offsets, walks) => {
          const automaton = numberAutomaton(drawn, untimed());
          if (automaton) expectWellFormed(automaton);
          for (const choices of walks) {
            const text = automaton && walk(automaton, choices);
            if (text === undefined) continue;
            expect([text, JSON_NUMBER.test(text), isInside(text, drawn)]).toEqual([text, true, true]);
          }
          const limits = [drawn.minimum, drawn.maximum, drawn.exclusiveMinimum, drawn.exclusiveMaximum];
          for (const [which, offset, digits] of offsets) {
            const text = near(limits[which], offset, drawn.integer ? 0 : digits);
            const accepted = automaton !== undefined && matches(automaton, text);
            const inside = isInside(text, drawn);
            const isMinusZero = text.startsWith('-') && Number(text) === 0;
            if (!inside || isShort(text, drawn)) expect([text, accepted]).toEqual([text, inside && !isMinusZero]);
          }
        },
      ),
      { seed: 14, numRuns: 300 },
    );
  });

  test('tells neighboring integers apart up to the greatest safe one', () => {
    const text = String(Number.MAX_SAFE_INTEGER);
    for (const integer of [true, false]) {
      const upTo = numberAutomaton({ integer, maximum: Number.MAX_SAFE_INTEGER }, untimed());
      const below = numberAutomaton({ integer, exclusiveMaximum: Number.MAX_SAFE_INTEGER }, untimed());
      const from = numberAutomaton({ integer, minimum: Number.MAX_SAFE_INTEGER }, untimed());
      const accepted = [upTo, below, from].map((one) =>
        [text, '9007199254740990', '9007199254740992'].map((number) => one !== undefined && matches(one, number)),
      );
      expect(accepted).toEqual([
        [true, true, false],
        [false, true, false],
        [true, false, true],
      ]);
    }
  });

  test('accepts no text whose double is rounded to an exclusive bound', () => {
    const above = numberAutomaton({ integer: true, exclusiveMinimum: 2 ** 53 }, untimed());
    expect(['9007199254740993', '9007199254740994'].map((text) => above && matches(above, text))).toEqual([
      false,
      true,
    ]);
    const below = numberAutomaton({ integer: false, exclusiveMaximum: 0.1 }, untimed());
    expect(
      ['0.09999999999999999999', '0.0999999999999999', '0.1'].map((text) => below && matches(below, text)),
    ).toEqual([false, true, false]);
  });

  test('has one zero, without a sign', () => {
    for (const limits of [{}, { minimum: 0 }, { maximum: 0 }, { minimum: -5, maximum: 5 }, { multipleOf: 3 }])
      for (const integer of [true, false]) {
        const automaton = numberAutomaton({ integer, ...limits }, untimed());
        const accepted = ['0', '-0', '-0.0', '-0.000'].filter((text) => automaton && matches(automaton, text));
        expect([limits, integer, accepted]).toEqual([limits, integer, ['0']]);
      }
    const negative = numberAutomaton({ integer: false, maximum: 0, multipleOf: 0.1 }, untimed());
    expect(['-0.1', '-0.0', '-10.0'].map((text) => negative && matches(negative, text))).toEqual([true, false, true]);
  });

  test('does not exist if no number is inside', () => {
    for (const integer of [true, false]) {
      expect(numberAutomaton({ integer, minimum: 5, maximum: 4 }, untimed())).toBeUndefined();
      expect(numberAutomaton({ integer, exclusiveMinimum: 4, maximum: 4 }, untimed())).toBeUndefined();
      expect(numberAutomaton({ integer, minimum: 1, maximum: 6, multipleOf: 7 }, untimed())).toBeUndefined();
      expect(numberAutomaton({ integer, minimum: Number.POSITIVE_INFINITY }, untimed())).toBeUndefined();
      expect(numberAutomaton({ integer, exclusiveMinimum: Number.MAX_VALUE }, untimed())).toBeUndefined();
    }
    expect(numberAutomaton({ integer: true, minimum: 0.1, maximum: 0.9 }, untimed())).toBeUndefined();
  });

  test('reads an infinite bound on the other side as none', () => {
    const automaton = numberAutomaton({ integer: true, maximum: Number.POSITIVE_INFINITY }, untimed());
    expect(automaton).toBe(numberAutomaton({ integer: true }, untimed()));
  });
});

describe('the automaton of any number', () => {
  test('accepts every spelling of JSON.stringify', () => {
    const automaton = numberAutomaton({ integer: false }, untimed());
    const isAccepted = (value: number): boolean => automaton !== undefined && matches(automaton, JSON.stringify(value));
    for (const value of [
      0, -0, 5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 1e21, 123456789012345680000,
      0.0000012345678901234567,
    ])
      expect([value, isAccepted(value)]).toEqual([value, true]);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.double({ noNaN: true, noDefaultInfinity: true }),
          fc.integer().map((one) => one / 1e4),
        ),
        (value) => {
          expect([value, isAccepted(value)]).toEqual([value, true]);
        },
      ),
      { seed: 14, numRuns: 2000 },
    );
  });

  test('accepts only numbers of JSON that are finite', () => {
    const automaton = numberAutomaton({ integer: false }, untimed());
    expect(automaton).toBeDefined();
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 90, maxLength: 90 }), (choices) => {
        const text = automaton && walk(automaton, choices);
        if (text === undefined) return;
        expect([text, JSON_NUMBER.test(text), Number.isFinite(JSON.parse(text))]).toEqual([text, true, true]);
      }),
      { seed: 14, numRuns: 3000 },
    );
    const refused = [
      '1e309',
      '1.8e308',
      '1.7976931348623158e308',
      '10e308',
      '01',
      '1.',
      '.5',
      '+1',
      '--1',
      '',
      '-',
      '1e',
      'NaN',
    ];
    expect(refused.filter((text) => automaton && matches(automaton, text))).toEqual([]);
  });

  test('is the automaton of its pattern, without zeros after a minus', () => {
    const whole = '(?:0|[1-9]\\d{0,59})';
    const exponent = '[eE](?:\\+?(?:\\d{1,2}|[12]\\d\\d|30[0-7])|-(?:\\d{1,2}|[12]\\d\\d|3[01]\\d|32[0-4]))';
    const digits = '7976931348623157';
    const upToGreatest = Array.from(digits, (digit, at) => {
      const before = digits.slice(0, at);
      return `${before}(?:${digit === '0' ? '' : `[0-${Number(digit) - 1}]\\d{0,${15 - at}}|`}${digit})`;
    });
    const pattern = `-?(?:${whole}(?:\\.\\d{1,25})?|[1-9](?:\\.\\d{1,20})?${exponent}|1(?:\\.(?:${upToGreatest.join('|')}))?[eE]\\+?308)`;
    const all = patternAutomaton(pattern, 'whole', untimed());
    const minusZero = patternAutomaton('-0(?:\\.0+)?', 'whole', untimed());
    expect(numberAutomaton({ integer: false }, untimed())).toEqual(
      all && minusZero && subtract(all, minusZero, untimed()),
    );
  });

  test('that is an integer has digits only', () => {
    const automaton = numberAutomaton({ integer: true }, untimed());
    expect(automaton).toEqual(patternAutomaton('0|-?[1-9]\\d{0,59}', 'whole', untimed()));
  });
});

describe('multipleOf', () => {
  test.each([
    [1000, true],
    [997, true],
    [999, false],
    [0.000001, false],
    [1e-8, true],
    [0.125, false],
  ])('of %d accepts exact multiples only', (multipleOf, integer) => {
    const automaton = numberAutomaton({ integer, multipleOf }, untimed());
    for (let count = -300; count <= 300; count += 1) {
      const scale = integer ? 1 : 1_000_000;
      const text = integer ? String(count * 333) : (count / scale).toFixed(6).replace(/\.?0+$/, '');
      expect([text, automaton !== undefined && matches(automaton, text)]).toEqual([text, isMultiple(text, multipleOf)]);
      const multiple = integer && multipleOf >= 1 ? String(count * multipleOf) : '0';
      expect([multiple, automaton !== undefined && matches(automaton, multiple)]).toEqual([multiple, true]);
    }
  });

  test.each([1001, 0.1234567, 1 / 3, 1e-20, 1e10])('of %d is not supported', (multipleOf) => {
    expect(problemOf(() => numberAutomaton({ integer: false, multipleOf }, untimed()))).toMatchObject({
      problem: 'unsupported',
      path: [],
    });
  });

  test.each([0, -1])('of %d is invalid', (multipleOf) => {
    expect(problemOf(() => numberAutomaton({ integer: true, multipleOf }, untimed())).problem).toBe('invalid');
  });
});
