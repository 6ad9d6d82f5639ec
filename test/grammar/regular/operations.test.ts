/** Operations on automata against the logic of their texts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CharAutomaton } from '../../../src/grammar/program.ts';
import {
  anyText,
  complement,
  intersect,
  subtract,
  unite,
  withLength,
} from '../../../src/grammar/regular/operations.ts';
import { patternAutomaton } from '../../../src/grammar/regular/pattern.ts';
import { matches, untilMarker, wordsAutomaton, wordsOf } from '../../../src/grammar/regular/words.ts';
import { expectWellFormed, problemOf, untimed } from './support.ts';

const PATTERNS = [
  'a*b',
  '(ab|c)+',
  '[^a]*',
  '.{0,3}',
  'a',
  '',
  '(a|b)*a(a|b)',
  '[a-c]{2,}',
  '😀+|b',
  '[\\s\\S]*',
  '[b-😀]x?',
];
const automata = PATTERNS.map((source) => patternAutomaton(source, 'whole', untimed()) as CharAutomaton);
const automaton = fc.constantFrom(...automata);
const text = fc.array(fc.constantFrom('a', 'b', 'c', 'x', '😀', '\n'), { maxLength: 5 }).map((chars) => chars.join(''));

/** The result is well formed and accepts a text if and only if the rule does. */
function expectRule(
  result: CharAutomaton | undefined,
  texts: readonly string[],
  rule: (text: string) => boolean,
): void {
  if (result) expectWellFormed(result);
  expect(texts.map((one) => [one, result ? matches(result, one) : false])).toEqual(
    texts.map((one) => [one, rule(one)]),
  );
}

describe('operations', () => {
  test('agree with the logic of the texts', () => {
    fc.assert(
      fc.property(automaton, automaton, automaton, fc.array(text, { minLength: 15 }), (a, b, c, texts) => {
        const [inA, inB, inC] = [a, b, c].map((one) => (other: string) => matches(one, other));
        if (!inA || !inB || !inC) throw new Error('no automaton');
        expectRule(intersect(a, b, untimed()), texts, (one) => inA(one) && inB(one));
        expectRule(subtract(a, b, untimed()), texts, (one) => inA(one) && !inB(one));
        expectRule(complement(a, untimed()), texts, (one) => !inA(one));
        expectRule(unite([a, b, c], untimed()), texts, (one) => inA(one) || inB(one) || inC(one));
      }),
      { seed: 14, numRuns: 300 },
    );
  });

  test('count characters as code points', () => {
    fc.assert(
      fc.property(
        automaton,
        fc.nat(4),
        fc.option(fc.nat(6), { nil: undefined }),
        fc.array(text, { minLength: 15 }),
        (a, min, max, texts) =>
          expectRule(withLength(a, min, max, untimed()), texts, (one) => {
            const length = [...one].length;
            return matches(a, one) && length >= min && (max === undefined || length <= max);
          }),
      ),
      { seed: 14, numRuns: 300 },
    );
  });

  test('have no automaton for the empty set, and the smallest one otherwise', () => {
    const [a, b] = [wordsAutomaton(['a'], untimed()), wordsAutomaton(['b'], untimed())];
    expect(intersect(a, b, untimed())).toBeUndefined();
    expect(subtract(a, a, untimed())).toBeUndefined();
    expect(complement(anyText(), untimed())).toBeUndefined();
    expect(withLength(a, 2, undefined, untimed())).toBeUndefined();
    expect(withLength(a, 3, 2, untimed())).toBeUndefined();
    expect(unite([a, b], untimed())).toEqual({ edges: [[97, 98, 1], []], accepts: [false, true] });
    const twice = complement(complement(a, untimed()) ?? b, untimed());
    expect(twice).toEqual(a);
    expect(problemOf(() => unite([], untimed())).problem).toBe('unsatisfiable');
  });

  test('end with too_complex if the result is too large', () => {
    const a = patternAutomaton('(?:.{300})*', 'whole', untimed()) as CharAutomaton;
    const b = patternAutomaton('(?:.{307})*', 'whole', untimed()) as CharAutomaton;
    expect(problemOf(() => intersect(a, b, untimed())).problem).toBe('too_complex');
    expect(problemOf(() => withLength(anyText(), 0, 100_000, untimed())).problem).toBe('too_complex');
  });
});

describe('listed texts', () => {
  test('are exactly the texts of their automaton, in order', () => {
    const words = fc.array(
      fc.array(fc.constantFrom('a', 'b', '😀', '\uffff', '"'), { maxLength: 5 }).map((one) => one.join('')),
      {
        minLength: 1,
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(words, (list) => {
        const result = wordsAutomaton(list, untimed());
        expectWellFormed(result);
        const distinct = [...new Set(list)].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(wordsOf(result, 30)).toEqual(distinct);
        expect(wordsOf(result, distinct.length - 1)).toBeUndefined();
        const union = unite(
          list.map((word) => wordsAutomaton([word], untimed())),
          untimed(),
        );
        expect(result.accepts.length).toBe(union.accepts.length);
      }),
      { seed: 14, numRuns: 300 },
    );
  });

  test('can be ten thousand', () => {
    const words = Array.from({ length: 10_000 }, (_, at) => `item-${((at * 7919) % 100_003).toString(36)}-${at}`);
    const result = wordsAutomaton(words, untimed());
    expect(wordsOf(result, 10_000)?.length).toBe(10_000);
    expect(words.every((word) => matches(result, word))).toBe(true);
  });

  test('without end, or too many, are not listed', () => {
    expect(wordsOf(anyText(), 1_000_000)).toBeUndefined();
    const digits = patternAutomaton('[0-9]{1,3}', 'whole', untimed()) as CharAutomaton;
    expect(wordsOf(digits, 1110)?.length).toBe(1110);
    expect(wordsOf(digits, 1109)).toBeUndefined();
  });

  test('are at least one, and texts of whole characters', () => {
    expect(problemOf(() => wordsAutomaton([], untimed())).problem).toBe('unsatisfiable');
    expect(problemOf(() => wordsAutomaton(['\ud83d'], untimed())).problem).toBe('unsupported');
  });
});

test('a marker ends a text at its first occurrence', () => {
  const marker = fc.array(fc.constantFrom('a', 'b', '😀'), { maxLength: 5 }).map((chars) => chars.join(''));
  const long = fc.array(fc.constantFrom('a', 'b', '😀', 'c'), { maxLength: 12 }).map((chars) => chars.join(''));
  fc.assert(
    fc.property(marker, fc.array(long), (end, texts) =>
      expectRule(
        untilMarker(end, untimed()),
        [end, `a${end}`, ...texts, ...texts.map((one) => one + end)],
        (one) => one.indexOf(end) + end.length === one.length && one.includes(end),
      ),
    ),
    { seed: 14, numRuns: 500 },
  );
});
