/** The places of rows in steps, for a cache with addresses inside its tensors. */
import { afterAll, expect, it } from 'vitest';
import { loadOrt } from '../../../../src/engine/ort/api.ts';
import { CacheInPlace } from '../../../../src/engine/ort/cache/in-place.ts';
import { placesFor } from '../../../../src/engine/ort/cache/memory.ts';
import { Tensors } from '../../../../src/engine/ort/tensors.ts';
import { FLOAT32 } from '../../../../src/onnx/types.ts';
import { runtimeLibrary } from '../../harness.ts';

const api = loadOrt(runtimeLibrary);
const tensors = new Tensors(api);
afterAll(() => tensors.release());

function cacheOf(rows: number): CacheInPlace {
  const caches = [{ past: 'past', present: 'present', type: FLOAT32, shape: [1, 2, -1, 8] }];
  const parts = { api, session: 0n, tensors, caches, memoryInfo: 0n, copiesRows: true };
  const cache = new CacheInPlace({ ...parts, growth: 'none' });
  cache.reserve(rows, 16, api.getAllocatorWithDefaultOptions());
  return cache;
}

it('a step has a power of two of places, or all', () => {
  expect([1, 2, 3, 4, 5, 6].map((rows) => placesFor(rows, 6))).toEqual([1, 2, 4, 4, 6, 6]);
  expect([9, 16].map((rows) => placesFor(rows, 16))).toEqual([16, 16]);
  expect(placesFor(3, 3)).toBe(3);
});

it('a row alone is a step over its own place', () => {
  expect([0, 5].map((row) => cacheOf(6).arrange([row]))).toEqual([
    { rows: [0], key: '0+1' },
    { rows: [5], key: '5+1' },
  ]);
});

it('several rows are a step over all rows up to the last of them, in the order of their places', () => {
  const cache = cacheOf(6);
  expect(cache.arrange([1, 0])).toEqual({ rows: [0, 1], key: '0+2' });
  expect(cache.arrange([2, 0])).toEqual({ rows: [0, 1, 2, 3], key: '0+4' });
  expect(cache.arrange([4, 1])).toEqual({ rows: [0, 1, 2, 3, 4, 5], key: '0+6' });
  // The same rows and the same memory have the same key.
  expect(cache.arrange([5, 4])).toEqual(cache.arrange([0, 4]));
});
