/** Checkpoints in one file and in shards: the places of tensors, and indexes that cannot be used. */
import { link, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HEADER_LIMITS } from '../../../src/model/checkpoint/safetensors.ts';
import { MAX_SHARDS, readCheckpoint } from '../../../src/model/checkpoint/shards.ts';
import type { ModelProblem } from '../../../src/model/problems.ts';
import { type Files, linked, modelFolder } from '../folders.ts';
import { expectSentence, generator, mutated } from './mutations.ts';
import { safetensorsBytes } from './safetensors-bytes.ts';

const [ONE, TWO] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
const INDEX = 'model.safetensors.index.json';
const MAP = { a: ONE, b: TWO, c: TWO };
const FIRST = safetensorsBytes({ a: { dtype: 'BF16', shape: [2, 3] } });
const SECOND = safetensorsBytes({ b: { shape: [1] }, c: { dtype: 'BF16', shape: [8] } });
const SHARDS: Files = {
  [INDEX]: { metadata: { total_size: 40 }, weight_map: MAP },
  [ONE]: FIRST,
  [TWO]: SECOND,
};

async function problemsIn(folder: string): Promise<string[]> {
  const problems: ModelProblem[] = [];
  expect(await readCheckpoint(folder, problems)).toBeUndefined();
  return problems.map(({ file, problem }) => `${file} ${problem}`);
}
const problemsOf = async (files: Files): Promise<string[]> => problemsIn(await modelFolder({ ...SHARDS, ...files }));

describe('a checkpoint', () => {
  it('in one file has the place of each tensor, in bytes from the begin of the file', async () => {
    const file = safetensorsBytes({
      'a.weight': { dtype: 'F16', shape: [2, 3] },
      scalar: { shape: [] },
      empty: { shape: [0, 5] },
      mask: { dtype: 'BOOL', shape: [3] },
      inv_freq: { dtype: 'I64', shape: [1] },
    });
    const folder = await modelFolder({ 'model.safetensors': file });
    const checkpoint = await readCheckpoint(folder, []);
    const start = file.length - 12 - 4 - 3 - 8;
    expect(checkpoint).toMatchObject({
      modelFile: join(folder, 'model.safetensors'),
      files: [await realpath(join(folder, 'model.safetensors'))],
      bytes: file.length,
      dtype: 'fp16',
    });
    expect(Object.fromEntries(checkpoint?.tensors ?? [])).toEqual({
      'a.weight': { file: 0, offset: start, bytes: 12, type: 10, shape: [2, 3] },
      scalar: { file: 0, offset: start + 12, bytes: 4, type: 1, shape: [] },
      empty: { file: 0, offset: start + 16, bytes: 0, type: 1, shape: [0, 5] },
      mask: { file: 0, offset: start + 16, bytes: 3, type: 9, shape: [3] },
      inv_freq: { file: 0, offset: start + 19, bytes: 8, type: 7, shape: [1] },
    });
  });

  it('in shards has their real paths in order, also in the layout of the hub cache', async () => {
    for (const folder of [await modelFolder(SHARDS), await linked(await modelFolder(SHARDS))]) {
      const checkpoint = await readCheckpoint(folder, []);
      expect(checkpoint).toMatchObject({
        modelFile: join(folder, INDEX),
        files: [await realpath(join(folder, ONE)), await realpath(join(folder, TWO))],
        bytes: FIRST.length + SECOND.length,
        dtype: 'bf16',
      });
      expect([...(checkpoint?.tensors ?? [])].map(([name, { file }]) => [name, file])).toEqual([
        ['a', 0],
        ['b', 1],
        ['c', 1],
      ]);
    }
  });

  it('may have an index with a byte-order mark', async () => {
    const index = `\ufeff${JSON.stringify(SHARDS[INDEX])}`;
    expect(await readCheckpoint(await modelFolder({ ...SHARDS, [INDEX]: index }), [])).toMatchObject({ dtype: 'bf16' });
  });

  it('in one file takes precedence over shards, as in transformers', async () => {
    const folder = await modelFolder({ ...SHARDS, 'model.safetensors': safetensorsBytes({ x: { shape: [1] } }) });
    expect((await readCheckpoint(folder, []))?.dtype).toBe('fp32');
  });

  it('is undefined without a problem if the folder has none', async () => {
    const problems: ModelProblem[] = [];
    expect(await readCheckpoint(await modelFolder(), problems)).toBeUndefined();
    expect(problems).toEqual([]);
  });

  it.each([
    ['F8_E4M3', 'has weights of type "F8_E4M3"'],
    ['I32', 'has weights of type "I32"'],
    ['F4_NEW', 'has weights of type "F4_NEW"'],
  ])('of the type %s is refused', async (dtype, problem) => {
    const file = safetensorsBytes({ a: { dtype, shape: [99] }, norm: { shape: [1] } });
    expect(await problemsIn(await modelFolder({ 'model.safetensors': file }))).toEqual([
      `model.safetensors ${problem}: use a checkpoint with weights of type F32, F16 or BF16`,
    ]);
  });

  it('keeps tensors of types that the worker does not know', async () => {
    const file = safetensorsBytes({ a: { shape: [99] }, scale: { dtype: 'F4_NEW', shape: [3] } });
    const checkpoint = await readCheckpoint(await modelFolder({ 'model.safetensors': file }), []);
    expect(checkpoint?.tensors.get('scale')).toMatchObject({ type: 0, bytes: 3 });
  });
});

describe('an index', () => {
  it.each<[string, string | Uint8Array | object, string]>([
    ['that is not JSON', '{"weight_map":', 'is not valid JSON (byte 14)'],
    ['that is not UTF-8', Buffer.from([0x7b, 0xff]), 'is not UTF-8'],
    ['without files', {}, 'has no "weight_map" with names of files'],
    ['with an empty list', { weight_map: {} }, 'has no "weight_map" with names of files'],
    ['with a list', { weight_map: [] }, 'is not valid JSON (byte 14)'],
    ['with two lists', '{"weight_map":{"a":"x.safetensors"},"weight_map":{}}', 'has two "weight_map"'],
    ['that names a tensor twice', '{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}', 'names tensor "a" twice'],
    ['that nests deeply', `{"metadata":${'['.repeat(50_000)}`, 'nests deeper than 16 levels (byte 29)'],
  ])('%s is refused', async (_, index, problem) => {
    expect(await problemsOf({ [INDEX]: index })).toEqual([`${INDEX} ${problem}`]);
  });

  it.each([
    INDEX,
    '../x.safetensors',
    'a/../../x.safetensors',
    '/etc/x.safetensors',
    'x\0.safetensors',
    'model.bin',
    '',
    '\u001b[31m',
  ])('that names the file %j is refused', async (file) => {
    expect(await problemsOf({ [INDEX]: { weight_map: { a: file } } })).toEqual([
      `${INDEX} names the file ${JSON.stringify(file)}: allowed are .safetensors files of the folder`,
    ]);
  });

  it('that names too many files is refused', async () => {
    const map = Object.fromEntries(Array.from({ length: MAX_SHARDS + 1 }, (_, at) => [at, `${at}.safetensors`]));
    expect(await problemsOf({ [INDEX]: { weight_map: map } })).toEqual([
      `${INDEX} names more than 1024 files, which is the limit`,
    ]);
  });

  it('that names too many tensors is refused', async () => {
    const names = Array.from({ length: HEADER_LIMITS.tensors + 1 }, (_, at) => `"${at}":"a.safetensors"`);
    expect(await problemsOf({ [INDEX]: `{"weight_map":{${names.join(',')}}}` })).toEqual([
      `${INDEX} names more than 262144 tensors, which is the limit`,
    ]);
  });

  it('that names a missing file is refused, with one problem for each file', async () => {
    expect(await problemsOf({ [ONE]: undefined, [TWO]: '' })).toEqual([`${ONE} is missing`, `${TWO} is empty`]);
  });

  it('that names a tensor that its file lacks is refused', async () => {
    expect(await problemsOf({ [INDEX]: { weight_map: { ...MAP, b: ONE, gone: TWO } } })).toEqual([
      `${INDEX} names the wrong files for 2 tensors: "${ONE}" lacks "b"`,
    ]);
  });

  it('with a tensor in two files is refused', async () => {
    expect(await problemsOf({ [ONE]: safetensorsBytes({ a: { shape: [1] }, b: { shape: [1] } }) })).toEqual([
      `${TWO} has tensor "b", which ${ONE} has too`,
    ]);
  });

  it('with links that lead out, to themselves, or to one file is refused', async () => {
    const folder = await modelFolder({ ...SHARDS, [ONE]: undefined });
    await mkdir(join(folder, '..', 'elsewhere'), { recursive: true });
    await writeFile(join(folder, '..', 'elsewhere', 'w.safetensors'), FIRST);
    await symlink('../elsewhere/w.safetensors', join(folder, ONE));
    expect(await problemsIn(folder)).toEqual([expect.stringContaining(`${ONE} is a link that leads out`)]);
    const looped = await modelFolder({ ...SHARDS, [ONE]: undefined });
    await symlink(ONE, join(looped, ONE));
    expect(await problemsIn(looped)).toEqual([`${ONE} is a link to itself`]);
    const shared = await modelFolder({ ...SHARDS, [ONE]: undefined });
    await link(join(shared, TWO), join(shared, ONE));
    expect(await problemsIn(shared)).toContain(`${TWO} has tensor "b", which ${ONE} has too`);
  });

  it('with random changes gives the tensors of the files, or one sentence for each file', async () => {
    const below = generator(23);
    const good = Buffer.from(JSON.stringify(SHARDS[INDEX]));
    const folder = await modelFolder(SHARDS);
    const outcomes = { read: 0, refused: new Set<string>() };
    for (let run = 0; run < 1500; run++) {
      await writeFile(join(folder, INDEX), mutated(good, below));
      const problems: ModelProblem[] = [];
      const checkpoint = await readCheckpoint(folder, problems);
      expect(problems.length > 0).toBe(checkpoint === undefined);
      expect(new Set(problems.map(({ file }) => file)).size).toBe(problems.length);
      for (const { problem } of problems) {
        expectSentence(problem);
        outcomes.refused.add(problem.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d+/g, '#').slice(0, 30));
      }
      if (checkpoint === undefined) continue;
      outcomes.read += 1;
      for (const name of checkpoint.tensors.keys()) expect(['a', 'b', 'c']).toContain(name);
    }
    expect(outcomes.read).toBeGreaterThan(50);
    expect(outcomes.refused.size).toBeGreaterThan(5);
  }, 120_000);
});
