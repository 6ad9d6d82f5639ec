/** The place of an error in JSON, compared with the parser of the platform. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonError, jsonErrorAt, parseJson } from '../../src/protocol/json-text.ts';

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
  ['{"a": Infinity}', 'not valid JSON (line 1, column 7)'],
  ['{\n  "a": 1,\n  "b" 2\n}', 'not valid JSON (line 3, column 7)'],
  ['{\n  "a": 1,\n}', 'not valid JSON (line 3, column 1)'],
  ['[1, 2] x', 'not valid JSON (line 1, column 8)'],
  ['["a\\x"]', 'not valid JSON (line 1, column 4)'],
  ['["a\nb"]', 'not valid JSON (line 1, column 4)'],
  ['{"a": [1, 2', 'not valid JSON (ends early: line 1, column 12)'],
  ['', 'not valid JSON (ends early: line 1, column 1)'],
  ['\ufeff{}', 'not valid JSON (line 1, column 1)'],
])('the error of %j is %s', (text, message) => {
  expect(errorOf(text)).toBe(message);
});

test('a valid text is parsed', () => {
  expect(parseJson(' {"a": [1, true, null, "\\u00e9\u007f"]}\n')).toEqual({ a: [1, true, null, 'é\u007f'] });
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
