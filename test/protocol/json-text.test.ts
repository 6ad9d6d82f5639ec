/** The place of an error in JSON, compared with the parser of the platform. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonError, jsonErrorAt, parseJson } from '../../src/protocol/text/json-text.ts';

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

function errorOf(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) return error.message;
  }
  return 'no error';
}

test.each([
  ['root:SECRET:0\n', 'not valid JSON (line 1, column 1)'],
  ['{"a": infinity}', 'not valid JSON (line 1, column 7)'],
  ['{"a": Infinity, }', 'not valid JSON (line 1, column 17)'],
  ['[NaN,\n-Infinity,\n+Infinity]', 'not valid JSON (line 3, column 1)'],
  ['[NaNa]', 'not valid JSON (line 1, column 5)'],
  ['{NaN: 1}', 'not valid JSON (line 1, column 2)'],
  ['[Infinity', 'not valid JSON (ends early: line 1, column 10)'],
  ['-', 'not valid JSON (line 1, column 1)'],
  ['{\n  "a": 1,\n  "b" 2\n}', 'not valid JSON (line 3, column 7)'],
  ['{\n  "a": 1,\n}', 'not valid JSON (line 3, column 1)'],
  ['[1, 2] x', 'not valid JSON (line 1, column 8)'],
  ['["a\\x"]', 'not valid JSON (line 1, column 4)'],
  ['["a\nb"]', 'not valid JSON (line 1, column 4)'],
  ['{"a": [1, 2', 'not valid JSON (ends early: line 1, column 12)'],
  ['', 'not valid JSON (ends early: line 1, column 1)'],
  ['\ufeff{"a" 1}', 'not valid JSON (line 1, column 6)'],
  ['\ufeff\ufeff{}', 'not valid JSON (line 1, column 1)'],
])('the error of %j is %s', (text, message) => {
  expect(errorOf(text)).toBe(message);
});

test('a valid text is parsed', () => {
  expect(parseJson(' {"a": [1, true, null, "\\u00e9\u007f"]}\n')).toEqual({ a: [1, true, null, 'é\u007f'] });
});

test('a byte-order mark is ignored', () => {
  expect(parseJson('\ufeff{"a": "\ufeff"}')).toEqual({ a: '\ufeff' });
});

test('the numbers of Python are read, and the same words in strings and keys stay text', () => {
  const text = '{"a": [0.0, Infinity, -Infinity], "NaN": NaN, "\\u004eaN": "Infinity", "b": "-Infinity, [NaN]\\"NaN"}';
  expect(parseJson(text)).toEqual({
    a: [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    NaN: 'Infinity',
    b: '-Infinity, [NaN]"NaN',
  });
  expect(parseJson('NaN')).toBeNaN();
});

test('a text with a number of Python is read as the platform reads the same text without that number', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      expect(parseJson(`[NaN, ${text}]`)).toEqual([Number.NaN, JSON.parse(text)]);
    }),
    { seed: 11, numRuns: 500 },
  );
  const read = parseJson('{"__proto__": {"a": NaN}, "b": 1, "b": 2}');
  expect(Object.keys(read as object)).toEqual(['__proto__', 'b']);
  expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  expect(read).toHaveProperty('b', 2);
});

test('a deep text with a number of Python does not exhaust the stack', () => {
  const depth = 100_000;
  let read = parseJson(`${'['.repeat(depth)}NaN${']'.repeat(depth)}`);
  let levels = 0;
  for (; Array.isArray(read); read = read[0]) levels += 1;
  expect(levels).toBe(depth);
  expect(read).toBeNaN();
});

test('a text of 8 MB with a number of Python at its end is read in seconds', () => {
  const entries = Array.from({ length: 200_000 }, (_, id) => `"token ${id} ${'x'.repeat(12)}": ${id}`);
  const began = performance.now();
  const read = parseJson(`{${entries.join(',\n')}, "last": Infinity}`) as Record<string, number>;
  expect(performance.now() - began).toBeLessThan(30_000);
  expect(read['token 199999 xxxxxxxxxxxx']).toBe(199_999);
  expect(read['last']).toBe(Number.POSITIVE_INFINITY);
});

test('the error is at the first character that no JSON text could have there', () => {
  const pieces = fc.constantFrom(...'{}[],:"\\ \n-0.1eE+', 'true', 'false', 'null', 'nul', '"a"', '"a":', '\\u00', 'x');
  const texts = fc.oneof(
    fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
    fc.tuple(fc.json(), fc.nat(), pieces).map(([text, at, piece]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + piece + text.slice(place + 1);
    }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const at = jsonErrorAt(text);
      if (isJson(text)) {
        expect(at).toBe(text.length);
        return;
      }
      // What follows the error does not matter, and the text before it is the beginning of a valid text.
      expect(isJson(text.slice(0, at) + completionOf(text.slice(0, at)))).toBe(true);
      if (at < text.length) for (const end of ['', ']', '}', '"']) expect(isJson(text + end)).toBe(false);
    }),
    { seed: 7, numRuns: 20_000 },
  );
});

/** Completes the beginning of a JSON text with as few characters as a search over short endings finds. */
function completionOf(start: string): string {
  const closers: string[] = [];
  let inString = false;
  for (let at = 0; at < start.length; at++) {
    const character = start[at];
    if (inString) {
      if (character === '\\') at += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{') closers.unshift('}');
    else if (character === '[') closers.unshift(']');
    else if (character === '}' || character === ']') closers.shift();
  }
  const endings = ['', '"', '":1', ':1', '1', '"k":1', '""', 'k":1'];
  return endings.map((ending) => ending + closers.join('')).find((ending) => isJson(start + ending)) ?? '?';
}
