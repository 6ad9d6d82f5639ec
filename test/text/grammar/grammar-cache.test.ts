/** The bounds of the cache of grammars. */
import { expect, test } from 'vitest';
import { GrammarCache } from '../../../src/text/grammar/grammar-cache.ts';

const of = (bytes: number) => ({ bytes });
const kept = (cache: GrammarCache<{ bytes: number }>, keys: string): string =>
  [...keys].filter((key) => cache.get(key) !== undefined).join('');

test('the value that was used longest ago goes when there are too many', () => {
  const cache = new GrammarCache<{ bytes: number }>({ count: 2, bytes: 100 });
  cache.set('a', of(1));
  cache.set('b', of(1));
  cache.get('a');
  cache.set('c', of(1));
  expect(kept(cache, 'abc')).toBe('ac');
});

test('values go until all of them together have room', () => {
  const cache = new GrammarCache<{ bytes: number }>({ count: 10, bytes: 10 });
  for (const key of 'abc') cache.set(key, of(3));
  cache.set('d', of(7));
  expect([kept(cache, 'abcd'), cache.bytes]).toEqual(['cd', 10]);
});

test('a value with more bytes than all may have is not kept, and the others stay', () => {
  const cache = new GrammarCache<{ bytes: number }>({ count: 10, bytes: 10 });
  cache.set('a', of(3));
  cache.set('b', of(11));
  expect([kept(cache, 'ab'), cache.bytes]).toEqual(['a', 3]);
});

test('a new value of a key replaces the old one', () => {
  const cache = new GrammarCache<{ bytes: number }>({ count: 10, bytes: 10 });
  cache.set('a', of(8));
  cache.set('a', of(5));
  cache.set('b', of(5));
  expect([kept(cache, 'ab'), cache.bytes]).toEqual(['ab', 10]);
});
