import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/engine/sampling/random.ts';
import { indexOf, occurrences, pieces } from '../../../src/text/template/jinja/text-search.ts';

/** A random string of two letters, so that it repeats itself. */
function letters(random: Random, length: number): string {
  return Array.from({ length }, () => 'ab'.charAt(random.next() % 2)).join('');
}

describe('the search for a string', () => {
  it('finds what the search of the language finds, for patterns of any length', () => {
    const random = Random.seeded(7);
    for (let round = 0; round < 300; round += 1) {
      const unit = letters(random, 1 + (random.next() % 90));
      const text = letters(random, random.next() % 30) + unit.repeat(random.next() % 6) + letters(random, 40);
      const pattern = random.next() % 2 ? unit.repeat(2) : unit + letters(random, 1 + (random.next() % 3));
      expect(indexOf(text, pattern)).toBe(text.indexOf(pattern));
      expect(pieces(text, pattern)).toEqual(text.split(pattern));
      expect([...occurrences(text, pattern)].length).toBe(text.split(pattern).length - 1);
    }
  });
});
