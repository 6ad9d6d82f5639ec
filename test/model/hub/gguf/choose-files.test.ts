/** The files that `pull` takes of a repository with GGUF models. */
import { describe, expect, test } from 'vitest';
import { chooseFiles, type Selection } from '../../../../src/model/hub/choice.ts';
import { parseReference } from '../../../../src/model/hub/reference.ts';
import type { Repository } from '../../../../src/model/hub/repository.ts';

const PARTS = ['F16/m-F16-00001-of-00002.gguf', 'F16/m-F16-00002-of-00002.gguf'];
const GGUF = ['README.md', 'config.json', 'm-Q4_K_M.gguf', 'm-Q8_0.gguf', 'mmproj-F16.gguf', ...PARTS];
const BESIDE = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'chat_template.jinja'];
const CHECKPOINT = ['config.json', 'tokenizer.json', 'model.safetensors'];

function repository(name: string, paths: readonly string[]): Repository {
  const reference = parseReference(name);
  if (!reference) throw new Error(`${name} is no reference`);
  const files = paths.map((path) => ({ path, size: 1, etag: '0'.repeat(40), hash: 'git-sha1' as const }));
  return { reference, commit: '0'.repeat(40), files };
}
const chosen = (name: string, paths: readonly string[], wish: Partial<Selection> = {}) =>
  chooseFiles(repository(name, paths), { dtype: 'auto', format: 'auto', device: 'cpu', ...wish });

describe('the choice of a GGUF model', () => {
  test.each<[string, Partial<Selection>, string[]]>([
    ['org/name:Q8_0', {}, ['m-Q8_0.gguf']],
    ['org/name:q8_0', { format: 'gguf' }, ['m-Q8_0.gguf']],
    ['org/name/m-Q8_0.gguf', {}, ['m-Q8_0.gguf']],
    ['org/name', {}, ['m-Q4_K_M.gguf']],
    ['org/name', { format: 'gguf' }, ['m-Q4_K_M.gguf']],
    ['org/name:F16', {}, PARTS],
    ['org/name/F16/m-F16-00002-of-00002.gguf', {}, PARTS],
    ['org/name/F16', {}, PARTS],
    ['org/name:F16', { dtype: 'q4' }, PARTS],
    ['org/name:Q4_K_M', { device: 'cuda-0' }, ['m-Q4_K_M.gguf']],
  ])('%s with %j takes %j', (name, wish, paths) => {
    const { files, format, modelFile } = chosen(name, GGUF, wish);
    expect(files.map(({ path }) => path)).toEqual(paths);
    expect([format, modelFile]).toEqual(['gguf', paths[0]]);
  });

  test('takes the tokenizer and the template beside the file, and those of no other folder', () => {
    const all = [...GGUF, ...BESIDE, ...BESIDE.map((path) => `F16/${path}`)];
    const { files, why } = chosen('org/name:F16', all);
    expect(files.map(({ path }) => path)).toEqual([...BESIDE.map((path) => `F16/${path}`), ...PARTS]);
    expect(why).toBe('m-F16.gguf in 2 files');
    expect(chosen('org/name:Q8_0', all).files.map(({ path }) => path)).toEqual([...BESIDE, 'm-Q8_0.gguf']);
  });

  test('takes a template without a tokenizer, and no other file of a tokenizer', () => {
    const all = [...GGUF, ...BESIDE.slice(1)];
    expect(chosen('org/name:Q8_0', all).files.map(({ path }) => path)).toEqual(['chat_template.jinja', 'm-Q8_0.gguf']);
  });

  test('is not made without a tag if the repository has other weights', () => {
    const all = [...GGUF, ...CHECKPOINT];
    expect(chosen('org/name', all)).toMatchObject({ format: 'safetensors' });
    expect(chosen('org/name:Q4_K_M', all)).toMatchObject({ format: 'gguf', modelFile: 'm-Q4_K_M.gguf' });
    expect(chosen('org/name', all, { format: 'gguf' })).toMatchObject({ format: 'gguf', modelFile: 'm-Q4_K_M.gguf' });
  });

  test.each<[string, readonly string[], Partial<Selection>, RegExp]>([
    ['org/name:Q5_0', GGUF, {}, /^org\/name has no GGUF file with the tag Q5_0; it has F16, Q4_K_M, Q8_0\.$/],
    ['org/name:Q4_K', GGUF, {}, /^org\/name has no GGUF file with the tag Q4_K; it has F16, Q4_K_M, Q8_0\.$/],
    ['org/name/x.gguf@v1', GGUF, {}, /^org\/name has no GGUF model x\.gguf; it has F16, Q4_K_M, Q8_0\.$/],
    ['org/name/mmproj-F16.gguf', GGUF, {}, /^org\/name has no GGUF model mmproj-F16\.gguf; /],
    [
      'org/name:Q4_0',
      CHECKPOINT,
      {},
      /^org\/name has no GGUF file with the tag Q4_0; it has no GGUF files of models\.$/,
    ],
    ['org/name', CHECKPOINT, { format: 'gguf' }, /^org\/name has no single GGUF file .*; it has no GGUF files of/],
    ['org/name', ['m-F16.gguf', 'm-Q6_K.gguf'], {}, /it has F16, Q6_K\. Use org\/name:F16\.$/],
    ['org/name:F16', PARTS.slice(0, 1), {}, /^org\/name:F16 has 1 of the 2 files of F16\/m-F16-00001-of-00002\.gguf: /],
    ['org/name:F16', PARTS.slice(1), {}, /^org\/name:F16 has 1 of the 2 files of F16\/m-F16-00002-of-00002\.gguf: /],
    ['org/name:Q8_0', GGUF, { format: 'onnx' }, /^org\/name:Q8_0 names a GGUF file: use --format gguf, or leave out/],
    ['org/name:Q8_0', GGUF, { device: 'coreml' }, /^org\/name:Q8_0 is a GGUF model, which does not run on coreml: use/],
    [
      'org/name:Q4_K_M',
      GGUF,
      { dtype: 'q8' },
      /^m-Q4_K_M\.gguf has the dtype q4_k_m, which --dtype q8 does not change: use --dtype auto, or the tag of/,
    ],
    [
      'org/name',
      GGUF,
      { format: 'safetensors' },
      /^org\/name has no model\.safetensors .*it has GGUF files: use --form/,
    ],
  ])('fails for %s: %#', (name, paths, wish, reason) => {
    expect(() => chosen(name, paths, wish)).toThrow(reason);
  });
});
