/** Stop strings in a text that arrives in pieces. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopMatcher } from '../../../src/text/output/stop-strings.ts';

interface Outcome {
  readonly text: string;
  readonly matched: string | undefined;
}

function inPieces(stops: readonly string[], pieces: readonly string[]): Outcome {
  const matcher = new StopMatcher(stops);
  let text = '';
  let matched: string | undefined;
  for (const piece of pieces) {
    const result = matcher.push(piece);
    text += result.text;
    matched ??= result.matched;
  }
  return { text: text + matcher.flush(), matched };
}

/** Slow reference: the match that ends first; of several that end together, the longest. */
function byTheRule(stops: readonly string[], text: string): Outcome {
  for (let end = 1; end <= text.length; end += 1) {
    const found = stops.filter((stop) => stop !== '' && text.slice(0, end).endsWith(stop));
    const matched = found.sort((a, b) => b.length - a.length)[0];
    if (matched !== undefined) return { text: text.slice(0, end - matched.length), matched };
  }
  return { text, matched: undefined };
}

/**
 * Few letters, so that stop strings overlap themselves and each other; `😀` and `😁` share their first half.
 */
const letters = fc.constantFrom('a', 'b', '😀', '😁');
const word = (least: number, most: number): fc.Arbitrary<string> =>
  fc.array(letters, { minLength: least, maxLength: most }).map((parts) => parts.join(''));
const stopLists = fc.array(word(1, 5), { maxLength: 4 });

describe('a text in pieces', () => {
  it('stops where the whole text stops, at every possible split', () => {
    fc.assert(
      fc.property(stopLists, word(0, 24), (stops, text) => {
        const expected = byTheRule(stops, text);
        expect(inPieces(stops, [text])).toEqual(expected);
        for (let at = 0; at <= text.length; at += 1) {
          expect(inPieces(stops, [text.slice(0, at), text.slice(at)])).toEqual(expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('stops where the whole text stops, for pieces of any number of UTF-16 units', () => {
    fc.assert(
      fc.property(stopLists, word(0, 40), fc.array(fc.integer({ min: 1, max: 5 })), (stops, text, lengths) => {
        const expected = byTheRule(stops, text);
        expect(inPieces(stops, text.split(''))).toEqual(expected);
        const pieces: string[] = [];
        let at = 0;
        for (const length of lengths) {
          pieces.push(text.slice(at, at + length));
          at += length;
        }
        expect(inPieces(stops, [...pieces, text.slice(at)])).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('never leaks a stop string, and holds back only a possible beginning of one', () => {
    fc.assert(
      fc.property(stopLists, word(0, 30), (stops, text) => {
        const matcher = new StopMatcher(stops);
        let given = '';
        let pushed = '';
        for (const char of text) {
          const result = matcher.push(char);
          given += result.text;
          pushed += char;
          for (const stop of stops) expect(given).not.toContain(stop);
          if (result.matched !== undefined) return;
          const held = pushed.slice(given.length);
          expect(held === '' || stops.some((stop) => stop.startsWith(held))).toBe(true);
          for (let more = held.length + 1; more <= pushed.length; more += 1) {
            expect(stops.some((stop) => stop.startsWith(pushed.slice(-more)))).toBe(false);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('never returns half a surrogate pair', () => {
    fc.assert(
      fc.property(stopLists, word(0, 20), (stops, text) => {
        const matcher = new StopMatcher(stops);
        const given = [...text.split('').map((unit) => matcher.push(unit).text), matcher.flush()];
        for (const piece of given) expect(Buffer.from(piece, 'utf8').toString('utf8')).toBe(piece);
      }),
    );
  });
});

describe('several stop strings', () => {
  it.each([
    { stops: ['ab', 'abc'], text: 'xabc', expected: { text: 'x', matched: 'ab' } },
    { stops: ['abc', 'ab'], text: 'xabc', expected: { text: 'x', matched: 'ab' } },
    { stops: ['b', 'ab'], text: 'xabc', expected: { text: 'x', matched: 'ab' } },
    { stops: ['abcd', 'bc'], text: 'xabcd', expected: { text: 'xa', matched: 'bc' } },
    { stops: ['\n\n', 'END'], text: 'one\nEN\n\nEND', expected: { text: 'one\nEN', matched: '\n\n' } },
  ])('the one that is complete first stops the text $text: $stops', ({ stops, text, expected }) => {
    expect(inPieces(stops, [text])).toEqual(expected);
    expect(inPieces(stops, Array.from(text))).toEqual(expected);
  });
});

describe('the text held back', () => {
  it('is returned as soon as it cannot become a stop string, or when the text ends', () => {
    const matcher = new StopMatcher(['</s>']);
    expect(matcher.push('a <')).toEqual({ text: 'a ' });
    expect(matcher.push('/')).toEqual({ text: '' });
    expect(matcher.push('b> <')).toEqual({ text: '</b> ' });
    expect(matcher.flush()).toBe('<');
    expect(matcher.flush()).toBe('');
  });

  it('is empty without stop strings, or with an empty stop string', () => {
    expect(new StopMatcher([]).push('abc')).toEqual({ text: 'abc' });
    expect(new StopMatcher(['']).push('abc')).toEqual({ text: 'abc' });
  });

  it('is dropped with everything after a match', () => {
    const matcher = new StopMatcher(['stop']);
    expect(matcher.push('go stop go')).toEqual({ text: 'go ', matched: 'stop' });
    expect(matcher.push('more')).toEqual({ text: '' });
    expect(matcher.flush()).toBe('');
  });

  it('costs linear time if the stop string begins like most of the text', () => {
    const stops = ['a', 'b', 'c', 'd'].map((end) => `${'a'.repeat(99)}${end === 'a' ? 'z' : end}`);
    const text = `${'a'.repeat(98)}x`.repeat(3_000);
    const begun = performance.now();
    expect(inPieces(stops, Array.from(text)).text).toBe(text);
    expect(performance.now() - begun).toBeLessThan(60_000);
  });
});
