/** The GGUF models of a repository by the names of their files, and the one that a reference selects. */
import { describe, expect, test } from 'vitest';
import { hasTag, tagIn } from '../../../../src/model/checkpoint/gguf/quantization-tag.ts';
import { chooseGguf, ggufSets, selectorOf } from '../../../../src/model/hub/gguf/file-sets.ts';
import { parseReference } from '../../../../src/model/hub/reference.ts';

const REPOSITORY = [
  'README.md',
  'config.json',
  'mmproj-model-f16.gguf',
  'model.imatrix.gguf',
  'model-Q4_K_M.gguf',
  'model-Q4_K_S.gguf',
  'model-q8_0.gguf',
  'model-UD-Q4_K_XL.gguf',
  'BF16/model-BF16-00002-of-00002.gguf',
  'BF16/model-BF16-00001-of-00002.gguf',
];

function chosen(reference: string, paths: readonly string[] = REPOSITORY): readonly string[] {
  const parsed = parseReference(reference);
  if (!parsed) throw new Error(`${reference} is no reference`);
  return chooseGguf(ggufSets(paths), parsed).paths;
}

describe('the quantization tag in a name', () => {
  test.each([
    ['Llama-3.2-1B-Instruct-Q4_K_M', 'Q4_K_M'],
    ['qwen2.5-0.5b-instruct-q4_k_m', 'Q4_K_M'],
    ['gemma-3-1b-it-qat-q4_0', 'Q4_0'],
    ['phi-2.Q5_K_S', 'Q5_K_S'],
    ['Model.i1-IQ3_XXS', 'IQ3_XXS'],
    ['Qwen3-30B-A3B-UD-Q4_K_XL', 'UD-Q4_K_XL'],
    ['gpt-oss-20b-mxfp4', 'MXFP4'],
    ['model_Q4_0', 'Q4_0'],
    ['Q8_0', 'Q8_0'],
    ['model-BF16', 'BF16'],
    ['model-fp16', 'FP16'],
    ['model-Q4_K_M-imat', 'Q4_K_M'],
    ['BF16-model-F16', 'F16'],
    ['Qwen3-0.6B', undefined],
    ['model-FAQ2', undefined],
    ['model', undefined],
  ])('of %s is %s', (stem, tag) => {
    expect(tagIn(stem)).toBe(tag);
  });

  test.each([
    ['x-Q4_K_M', 'q4_k_m', true],
    ['x-q4_k_m', 'Q4_K_M', true],
    ['x-Q4_K_M', 'Q4_K', false],
    ['x-Q4_K_M', 'K_M', false],
    ['x-Q4_K_M', 'Q4', false],
    ['x-IQ4_XS', 'Q4_XS', false],
    ['x_Q4_0', 'Q4_0', true],
    ['x.Q4_0', 'Q4_0', true],
    ['Q4_0', 'Q4_0', true],
    ['x-Q4_0-y', 'Q4_0', true],
    ['x-UD-Q4_K_XL', 'Q4_K_XL', true],
    ['x-UD-Q4_K_XL', 'UD-Q4_K_XL', true],
    ['x-Q4_K_M', 'x-Q4_K_M', true],
    ['x-Q4_K_M', 'x-Q4_K_M.gguf', true],
    ['x-instruct-Q4_0', 'instruct', true],
    ['x-instructed-Q4_0', 'instruct', false],
    ['Q4_01-Q4_0', 'Q4_0', true],
  ])('%s has the tag %s: %s', (stem, tag, has) => {
    expect(hasTag(stem, tag)).toBe(has);
  });
});

test('the models of a repository are its files and split sets, without projectors and matrices of importance', () => {
  const sets = ggufSets(REPOSITORY);
  expect(sets.map(({ paths, count, tag }) => [paths.length, count, tag])).toEqual([
    [2, 2, 'BF16'],
    [1, 1, 'Q4_K_M'],
    [1, 1, 'Q4_K_S'],
    [1, 1, 'UD-Q4_K_XL'],
    [1, 1, 'Q8_0'],
  ]);
  expect(sets[0]?.paths).toEqual(['BF16/model-BF16-00001-of-00002.gguf', 'BF16/model-BF16-00002-of-00002.gguf']);
  expect(sets.map((set) => selectorOf(set, sets))).toEqual([':BF16', ':Q4_K_M', ':Q4_K_S', ':UD-Q4_K_XL', ':Q8_0']);
});

test('a model may have the word imatrix after its tag, and the tag selects the model without it', () => {
  const paths = ['imatrix-m-Q8_0.gguf', 'm-Q4_K_M-imatrix.gguf', 'm-Q4_K_M.gguf', 'm-imatrix.gguf'];
  const models = ['m-Q4_K_M-imatrix.gguf', 'm-Q4_K_M.gguf'] as const;
  expect(ggufSets(paths).flatMap((set) => set.paths)).toEqual(models);
  for (const reference of ['org/name:Q4_K_M', 'org/name']) expect(chosen(reference, paths)).toEqual([models[1]]);
  for (const reference of ['org/name:q4_k_m-imatrix', `org/name/${models[0]}`])
    expect(chosen(reference, paths)).toEqual([models[0]]);
});

test('a tag of two models selects none of them: their files do', () => {
  const sets = ggufSets(['a-Q4_0.gguf', 'b-Q4_0.gguf', 'c.gguf']);
  expect(sets.map((set) => selectorOf(set, sets))).toEqual(['/a-Q4_0.gguf', '/b-Q4_0.gguf', '/c.gguf']);
});

describe('a reference', () => {
  test.each([
    ['org/name:Q4_K_M', 'model-Q4_K_M.gguf'],
    ['org/name:q4_k_s', 'model-Q4_K_S.gguf'],
    ['org/name:Q8_0@v1', 'model-q8_0.gguf'],
    ['org/name:Q4_K_XL', 'model-UD-Q4_K_XL.gguf'],
    ['org/name:bf16', 'BF16/model-BF16-00001-of-00002.gguf'],
    ['org/name/model-Q4_K_S.gguf', 'model-Q4_K_S.gguf'],
    ['org/name', 'model-Q4_K_M.gguf'],
  ])('%s selects %s', (reference, file) => {
    expect(chosen(reference)[0]).toBe(file);
  });

  test('without a tag selects Q4_K_M, then Q4_0, then Q8_0, and a single model whatever it is', () => {
    expect(chosen('org/name', ['a-Q8_0.gguf', 'a-Q4_0.gguf', 'a-F16.gguf'])).toEqual(['a-Q4_0.gguf']);
    expect(chosen('org/name', ['a-Q8_0.gguf', 'a-F16.gguf'])).toEqual(['a-Q8_0.gguf']);
    expect(chosen('org/name', ['a-IQ4_XS.gguf', 'mmproj-a-F16.gguf'])).toEqual(['a-IQ4_XS.gguf']);
  });

  test('prefers the model whose kind is the tag to one that has the tag in its kind', () => {
    expect(chosen('org/name:IQ2_M', ['a-UD-IQ2_M.gguf', 'a-IQ2_M.gguf'])).toEqual(['a-IQ2_M.gguf']);
  });

  test('to any part of a split set selects the set', () => {
    const parts = ['x-00001-of-00002.gguf', 'x-00002-of-00002.gguf', 'x-00001-of-00003.gguf'];
    expect(chosen('org/name/x-00002-of-00002.gguf', parts)).toEqual(parts.slice(0, 2));
  });

  test.each([
    ['org/name:Q5_K_M', REPOSITORY, /^has no GGUF file with the tag Q5_K_M; it has BF16, Q4_K_M, Q4_K_S, UD-.*, Q8_0$/],
    ['org/name:Q4_K', REPOSITORY, /^has no GGUF file with the tag Q4_K; it has BF16/],
    ['org/name/gone.gguf', REPOSITORY, /^has no GGUF model gone\.gguf; it has BF16, Q4_K_M/],
    ['org/name:Q4_0', ['README.md'], /^has no GGUF file with the tag Q4_0; it has no GGUF files of models$/],
    [
      'org/name:Q4_0',
      ['a-Q4_0.gguf', 'b-Q4_0.gguf'],
      /^has several GGUF files with the tag Q4_0: a-Q4_0\.gguf, b-Q4_0\.gguf\. Name one of them, as in org\/name\/a-Q4_0\.gguf$/,
    ],
    [
      'org/name',
      ['a-Q4_0.gguf', 'b-Q4_0.gguf'],
      /^has no single GGUF file of Q4_K_M, Q4_0, Q8_0; it has a-Q4_0\.gguf, b-Q4_0\.gguf\. Use org\/name\/a-Q4_0\.gguf$/,
    ],
    ['org/name', ['a-F16.gguf', 'a-Q6_K.gguf'], /; it has F16, Q6_K\. Use org\/name:F16$/],
  ])('%s that selects no model lists the models: %#', (reference, paths, reason) => {
    expect(() => chosen(reference, paths)).toThrow(reason);
  });
});
