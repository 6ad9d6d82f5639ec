/** JSON with hidden characters: harmless as text, exact as a value. */
import { expect, test } from 'vitest';
import { jsonText } from '../../src/commands/json-text.ts';
import { harmlessLines } from '../../src/narration/sanitize.ts';

const HOSTILE = { t: '\x1b[31m\u009b2J\u202e\u200b\u2028\u3000👩‍💻\u{e0041}\ud800 end', n: 1 };

test('keeps its value, and the terminal changes nothing of it', () => {
  const text = jsonText(HOSTILE);
  expect(JSON.parse(text)).toEqual(HOSTILE);
  expect(harmlessLines(text)).toBe(text);
});
