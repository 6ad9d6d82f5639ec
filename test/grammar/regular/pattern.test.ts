/** Regular expressions as automata: the same texts as the runtime's own, and an end for hostile ones. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Budget } from '../../../src/grammar/budget.ts';
import { GrammarError } from '../../../src/grammar/grammar-error.ts';
import { patternAutomaton } from '../../../src/grammar/regular/pattern.ts';
import { matches } from '../../../src/grammar/regular/words.ts';
import { sampleSize } from '../../support/sample.ts';
import { expectWellFormed, problemOf, untimed } from './support.ts';

type Mode = 'search' | 'whole';

const HEXADECIMAL: Readonly<Record<string, string>> = {
  '-': '\\x2d',
  _: '\\x5f',
  '"': '\\x22',
  ':': '\\x3a',
  '@': '\\x40',
  '#': '\\x23',
};

/** A budget whose time is over after some looks at its clock. */
const counted = (looks: number): Budget => {
  let now = 0;
  return new Budget(() => {
    now += 50 / looks;
    return now;
  });
};

/** True if an expression has an automaton within a bound of work; a larger one is no subject of this test. */
function isSmall(source: string): boolean {
  try {
    for (const mode of ['search', 'whole'] as const) patternAutomaton(source, mode, counted(200));
    return true;
  } catch (error) {
    expect(error).toMatchObject({ name: 'GrammarError', problem: 'too_complex' });
    return false;
  }
}

/** The automaton accepts a text if and only if the expression of JavaScript does. */
function expectAgreement(source: string, texts: readonly string[]): void {
  for (const mode of ['search', 'whole'] as const) {
    const expression = ownExpression(mode === 'search' ? source : `^(?:${source})$`);
    const automaton = patternAutomaton(source, mode, untimed());
    if (automaton) expectWellFormed(automaton);
    const accepted = texts.filter((text) => automaton && matches(automaton, text));
    expect([mode, source, accepted]).toEqual([mode, source, texts.filter((text) => expression.test(text))]);
  }
}

/** With the flag `u` if possible: escapes of punctuation that it does not allow are spelled in hexadecimal. */
function ownExpression(source: string): RegExp {
  try {
    return new RegExp(
      source.replace(/\\(.)/gs, (whole, char: string) => HEXADECIMAL[char] ?? whole),
      'u',
    );
  } catch {
    return new RegExp(source);
  }
}

const atom = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('a', 'b', 'c', '1', '-', ' ', 'é', '😀', '\\-', '\\.', '\\n', '\\x61', '\\u{62}'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom('.', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S', '[ab]', '[^a]', '[a-c1]', '[^\\d-]'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('^', '$', '\\ud83d\\ude00', '[^]', '[]', '[\\ud83d\\ude00b]'),
  },
);
const quantifier = fc.constantFrom('*', '+', '?', '{2}', '{1,}', '{0,2}', '{1,3}?', '*?', '+?', '{0}');
const pattern = fc.letrec<{ tree: string; part: string }>((tie) => ({
  tree: fc
    .array(
      fc.array(tie('part'), { maxLength: 4 }).map((parts) => parts.join('')),
      { minLength: 1, maxLength: 3 },
    )
    .map((branches) => branches.join('|')),
  part: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom,
    fc
      .tuple(
        atom.filter((one) => one !== '^' && one !== '$'),
        quantifier,
      )
      .map(([one, sign]) => one + sign),
    fc
      .tuple(fc.constantFrom('(', '(?:'), tie('tree'), fc.oneof(fc.constant(''), quantifier))
      .map(([open, tree, sign]) => `${open}${tree})${sign}`),
  ),
})).tree;
const text = fc
  .array(fc.constantFrom('a', 'b', 'c', '1', '-', ' ', 'é', '😀', '.', '\n', 'A', '\u2028', '\ufeff'), { maxLength: 6 })
  .map((chars) => chars.join(''));

describe('a regular expression', () => {
  test('accepts the same texts as the one of JavaScript', () => {
    let compared = 0;
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 25 }), (source, texts) => {
        if (!isSmall(source)) return;
        compared += 1;
        expectAgreement(source, ['', ...texts]);
      }),
      { seed: 14, numRuns: sampleSize(1000, 150) },
    );
    expect(compared).toBeGreaterThan(sampleSize(900, 130));
  });

  test.each<[source: string, texts: string[]]>([
    ['^$', ['', 'a']],
    ['$^', ['', 'a']],
    ['a^b', ['ab', 'b', 'a']],
    ['(^|,)a', ['a', ',a', 'ba', 'b,a']],
    ['a($|,)', ['a', 'a,', 'ab', 'a,b', 'b']],
    ['(a$)?b?', ['a', 'b', 'ab', '']],
    ['x*^y', ['y', 'xy', 'ay']],
    ['(?:a|^)*b', ['b', 'ab', 'cb', 'cab']],
    ['(^a|b$)+', ['a', 'b', 'ab', 'ba', 'ca', 'cbc']],
    ['(?:$a*|b)', ['', 'a', 'b', 'c']],
    ['^(?:$|a)', ['', 'a', 'b']],
    ['(?<year>\\d{4})-(?<month>\\d\\d)', ['2024-05', '20-05', 'x2024-05y']],
    ['^[\\w.+\\-]+@\\w+\\.\\w{2,}$', ['a.b+c-d@e.org', 'a@b', '@b.org']],
    ['\\_\\"\\/\\:\\@\\#', ['_"/:@#', '_']],
    ['^\\cJ\\0\\v\\f$', ['\n\0\v\f', 'J']],
    ['^{a}]$', ['{a}]', 'a']],
    ['^a{,2}$', ['a{,2}', 'aa']],
    ['^[\\d-z]$', ['5', '-', 'z', 'a']],
    ['^[\\b]$', ['\b', 'b']],
    ['^[\\^\\]\\\\-]$', ['^', ']', '\\', '-', 'a']],
    ['^[^\\W_]$', ['a', '_', ' ', '5']],
    ['^\\p{Script=Greek}+$', ['αβγ', 'abc']],
    ['^\\p{Lu}\\P{L}$', ['A1', 'Éa', 'a1']],
    ['^.$', ['a', '\n', '😀', '\r', '\u2029']],
    ['^[😀-😎]$', ['😀', '😅', '😏']],
    ['\\u{1F600}', ['😀', 'u']],
    ['', ['', 'a']],
    ['|a', ['', 'a']],
  ])('%s accepts the same texts as the one of JavaScript', (source, texts) => expectAgreement(source, texts));

  test('in the mode of search, the parts before and behind are any characters', () => {
    const automaton = patternAutomaton('b{2}', 'search', untimed());
    expect(['bb', 'abbc', '\n\nbb\n', 'b😀b', ''].map((one) => automaton && matches(automaton, one))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test('that matches no text of characters has no automaton', () => {
    for (const source of ['[]', 'a^b', '$a', '\\ud83d', 'a[^\\s\\S]'])
      expect(patternAutomaton(source, 'search', untimed())).toBeUndefined();
  });

  test('makes the smallest automaton: counts, doubled parts and useless branches add no state', () => {
    const states = (source: string, mode: Mode = 'whole'): number | undefined =>
      patternAutomaton(source, mode, untimed())?.accepts.length;
    expect(states('.{0,2000}')).toBe(2001);
    expect(states('[a-z]{1,1000}', 'search')).toBe(2);
    expect(states('(?:abc|abc|a[b]c|abd[])*')).toBe(3);
    expect(states('(?:(?:(?:(?:a+)+)+)+)+')).toBe(2);
    expect(states('(?:x|y)(?:a|b)|[xy][ab]')).toBe(3);
    expect(states('(?:a|aa)+b{900}')).toBe(902);
  });
});

describe('a regular expression that cannot be enforced', () => {
  test.each([
    ['a(?=b)', 'a lookahead at position 1'],
    ['a(?!b)', 'a lookahead at position 1'],
    ['(?<=a)b', 'a lookbehind at position 0'],
    ['(?<!a)b', 'a lookbehind at position 0'],
    ['(a)\\1', 'a backreference at position 3'],
    ['(?<n>a)\\k<n>', 'a backreference at position 7'],
    ['a\\b', 'the word boundary \\b at position 1'],
    ['\\Ba', 'the word boundary \\B at position 0'],
    ['\\p{Unknown}', 'the unknown property \\p{Unknown} at position 0'],
    ['(?i)a', 'flags of a group at position 0'],
    ['(?i:a)', 'flags of a group at position 0'],
  ])('%s is unsupported', (source, part) => {
    const error = problemOf(() => patternAutomaton(source, 'search', untimed()));
    expect(error).toMatchObject({ problem: 'unsupported', path: [] });
    expect(error.message).toContain(`uses ${part}, which is not supported; `);
  });

  test.each([
    ['(a', 'position 0'],
    ['a)', 'position 1'],
    ['[a', 'position 0'],
    ['*a', 'position 0'],
    ['a**', 'position 2'],
    ['^*', 'position 1'],
    ['a|?', 'position 2'],
    ['{2}', 'position 0'],
    ['a{2}{3}', 'position 4'],
    ['a{3,2}', 'position 1'],
    ['[b-a]', 'position 1'],
    ['\\', 'position 0'],
    ['a\\x1', 'position 1'],
    ['\\u12', 'position 0'],
    ['\\u{110000}', 'position 0'],
    ['\\c1', 'position 0'],
    ['\\01', 'position 0'],
    ['\\a', 'position 0'],
    ['\\Aa\\Z', 'position 0'],
    ['(?P<n>a)', 'position 0'],
    ['(?<n>a)(?<n>b)', 'position 7'],
    ['\\pL', 'position 0'],
  ])('%s is invalid', (source, position) => {
    const error = problemOf(() => patternAutomaton(source, 'search', untimed()));
    expect(error).toMatchObject({ problem: 'invalid', path: [] });
    expect(error.message).toMatch(new RegExp(`^is not a valid regular expression: .* at ${position}$`));
  });
});

describe('a hostile regular expression', () => {
  /** A clock that goes on by a fixed amount with each look at it: so the end does not depend on the machine. */
  test.each<[name: string, source: string]>([
    ['with exponentially many states', '(.*a.{30})'],
    ['with exponentially many states behind the start', '^(?:.*a.{20}|.*b.{25})$'],
    ['with counts of counts', '((a{50}){50}){50}'],
    ['with counts of nothing', '(((){1000}){1000}){1000}'],
    ['with a count without measure', 'a{99999999999999999999}'],
    ['with counts of optional parts', '((a{0,90}b?){0,90}c?){0,90}'],
    ['with groups within groups', `${'('.repeat(300)}${')'.repeat(300)}`],
    ['with counts of groups within groups', `${'('.repeat(200)}a${'){2,}'.repeat(200)}`],
    ['of 100 kB of letters', 'abcdefghij'.repeat(10_000)],
    ['of 100 kB of branches', 'a|'.repeat(50_000)],
    ['of 100 kB of open parentheses', '('.repeat(100_000)],
    [
      'of 100 kB of classes',
      Array.from({ length: 12_000 }, (_, at) => `[\\u{${(at * 7).toString(16)}}-\\u{1ffff}]`).join(''),
    ],
  ])('%s ends with too_complex', (_, source) => {
    for (const mode of ['search', 'whole'] as const)
      expect(problemOf(() => patternAutomaton(source, mode, counted(500)))).toMatchObject({
        problem: 'too_complex',
        path: [],
      });
  });

  test('ends with too_complex when the time is over', () => {
    expect(problemOf(() => patternAutomaton('(?:[a-z]{1,40} ){1,40}', 'whole', counted(2))).message).toContain('50 ms');
  });

  test('of random characters makes an automaton or ends with an error of the grammar', () => {
    const piece = fc.constantFrom(
      ...'ab(|)[]{}*+?^$.\\-,0123<>=!:pPkuxdDwWsS',
      '(?',
      '{2,',
      '\\u{',
      '\\p{',
      '[^',
      '😀',
      '\ud83d',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          const automaton = patternAutomaton(pieces.join(''), 'search', counted(200));
          if (automaton) expectWellFormed(automaton);
        } catch (error) {
          expect(error).toBeInstanceOf(GrammarError);
        }
      }),
      { seed: 14, numRuns: 1000 },
    );
  });
});
