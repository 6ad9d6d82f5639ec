/**
 * Valid and invalid names of models on the hub, and the paths of a repository that may become paths on the
 * disk.
 */

import { join, resolve, sep } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSafePath, nameOf, parseReference, selectsGguf } from '../../../src/model/hub/reference.ts';

describe('the name of a model', () => {
  test.each([
    ['org/name', 'org/name', '', 'main'],
    ['onnx-community/Qwen3-0.6B-ONNX', 'onnx-community/Qwen3-0.6B-ONNX', '', 'main'],
    ['a/b@v1.0', 'a/b', '', 'v1.0'],
    ['a/b@refs/pr/12', 'a/b', '', 'refs/pr/12'],
    ['a/b@0123456789abcdef0123456789abcdef01234567', 'a/b', '', '0123456789abcdef0123456789abcdef01234567'],
    ['a/b/c', 'a/b', 'c', 'main'],
    [
      'a/b/cpu_and_mobile/cpu-int4-rtn--block-32@refs/pr/1',
      'a/b',
      'cpu_and_mobile/cpu-int4-rtn--block-32',
      'refs/pr/1',
    ],
  ])('%s is valid', (text, repo, folder, revision) => {
    const reference = parseReference(text);
    expect(reference).toEqual({ repo, folder, revision });
    expect(reference && parseReference(nameOf(reference))).toEqual(reference);
  });

  test.each([
    ['a/b:Q4_K_M', { tag: 'Q4_K_M' }],
    ['a/b:q4_k_m', { tag: 'Q4_K_M' }],
    ['a/b:UD-Q4_K_XL@v1.0', { tag: 'UD-Q4_K_XL', revision: 'v1.0' }],
    ['a/b:some-part', { tag: 'some-part' }],
    ['a/b/c:Q8_0', { folder: 'c', tag: 'Q8_0' }],
    ['a/b/x-Q4_0.gguf', { file: 'x-Q4_0.gguf' }],
    ['a/b/Q4/x-00001-of-00002.GGUF@refs/pr/1', { folder: 'Q4', file: 'x-00001-of-00002.GGUF', revision: 'refs/pr/1' }],
  ])('%s is valid and selects a GGUF model', (text, more) => {
    const reference = parseReference(text);
    expect(reference).toEqual({ repo: 'a/b', folder: '', revision: 'main', ...more });
    expect(reference && parseReference(nameOf(reference))).toEqual(reference);
    expect(reference && selectsGguf(reference)).toBe(true);
  });

  test.each([
    '',
    'name',
    'a/b/',
    'a/b//c',
    'a/b/.c',
    'a/b/../c',
    'a/b/c/..',
    'a/b/c/',
    `a/b/${'c'.repeat(201)}`,
    '/a/b',
    './a',
    '../a',
    'a/..',
    '../../..',
    'a/b@',
    'a/b@x@y',
    'a/b@../x',
    'a/b@x..y',
    'a/b@/x',
    'a/b@x/',
    'a/b@-x',
    'a/b@x.lock',
    'a/b@.x',
    'a--b/c',
    'a/b--c',
    'a/b.git',
    '-a/b',
    'a/b-',
    'a/ b',
    'a/b\n',
    'a\\b/c',
    'a/b%2e',
    'é/b',
    'https://host/b',
    'a/b:',
    'a/b:x:y',
    'a/b:../x',
    'a/b:x..y',
    'a/b:x/y',
    'a/b:-x',
    `a/b:${'x'.repeat(97)}`,
    'a/b/x.gguf:Q4_0',
    'a/b/.gguf',
    'a:Q4_0/b',
    'C:/models/x.gguf',
    'C:\\models\\x.gguf',
    `${'a'.repeat(97)}/b`,
    `a/b@${'x'.repeat(201)}`,
  ])('%j is invalid', (text) => {
    expect(parseReference(text)).toBeUndefined();
  });
});

test('a safe path stays in the folder that it is joined to', () => {
  const part = fc.oneof(
    fc.constantFrom('..', '.', '', 'a', 'C:', '\\', '~', '%2e%2e', 'onnx', 'a..b'),
    fc.string({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
      const path = parts.join('/');
      if (!isSafePath(path)) return;
      expect(resolve('/root/of/cache', path)).toBe(join('/root/of/cache', path));
      expect(resolve('/root/of/cache', path).startsWith(`/root/of/cache${sep}`)).toBe(true);
      expect(path).toMatch(/^[A-Za-z0-9_.+/-]+$/);
    }),
    { numRuns: 2000 },
  );
});

test.each(['config.json', 'onnx/model_q4.onnx', 'onnx/model.onnx_data_1', 'model.onnx.data', 'cpu-int4/x+y.onnx'])(
  '%s is a safe path',
  (path) => {
    expect(isSafePath(path)).toBe(true);
  },
);
