/** JSON as the page shows it, complete or not. */
import { describe, expect, test } from 'vitest';
import { jsonPieces } from '../../src/page/text/json-pieces.ts';

const joined = (text: string): string =>
  jsonPieces(text)
    .map((piece) => piece.text)
    .join('');

describe('the pieces of JSON', () => {
  test('have kinds', () => {
    expect(jsonPieces('{"a \\" b": [-1.5e3, true, "x"]}').filter(({ kind }) => kind)).toEqual([
      { kind: 'key', text: '"a \\" b"' },
      { kind: 'number', text: '-1.5e3' },
      { kind: 'word', text: 'true' },
      { kind: 'string', text: '"x"' },
    ]);
  });

  test('of a text that grows end with an open string', () => {
    expect(jsonPieces('{"a": "true \\"7').filter(({ kind }) => kind)).toEqual([
      { kind: 'key', text: '"a"' },
      { kind: 'string', text: '"true \\"7' },
    ]);
  });

  test.each(['', '{', '{"a', '{"a\\', '{"a\\\n": 1', '[1, "b" :"c", nul'])('of %j joined are the text', (text) => {
    expect(joined(text)).toBe(text);
  });

  test('of a long open string with many escaped quotes take no time', () => {
    const text = `{"code": "${'\\"'.repeat(200_000)}`;
    expect(joined(text)).toBe(text);
  });
});
