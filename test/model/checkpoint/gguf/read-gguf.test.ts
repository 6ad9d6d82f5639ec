/** GGUF files that are right: values of all types, both versions, places of tensors, split models. */
import { mkdtemp, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GgufModel } from '../../../../src/model/checkpoint/gguf/gguf-file.ts';
import { readGguf } from '../../../../src/model/checkpoint/gguf/read-gguf.ts';
import type { ModelProblem } from '../../../../src/model/problems.ts';
import {
  arrayOf,
  ggufBytes,
  ggufParts,
  partName,
  splitGguf,
  type TestGguf,
  typed,
  writeFiles,
} from '../../../support/gguf/gguf-bytes.ts';

const folderWith = async (files: Readonly<Record<string, Uint8Array>>): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'gguf-'));
  await writeFiles(folder, files);
  return folder;
};

async function readFrom(folder: string, file: string): Promise<GgufModel> {
  const problems: ModelProblem[] = [];
  const model = await readGguf(folder, file, problems);
  expect(problems).toEqual([]);
  if (model === undefined) throw new Error('not read');
  return model;
}

const read = async (file: TestGguf): Promise<GgufModel> =>
  readFrom(await folderWith({ 'a.gguf': ggufBytes(file) }), 'a.gguf');

async function problemsIn(files: Readonly<Record<string, Uint8Array>>, file: string): Promise<string[]> {
  const problems: ModelProblem[] = [];
  expect(await readGguf(await folderWith(files), file, problems)).toBeUndefined();
  return problems.map((one) => `${one.file} ${one.problem}`);
}

const W = { w: { shape: [1] } } as const;

describe('metadata', () => {
  it.each([2, 3])('of version %i have values of all types', async (version) => {
    const { metadata } = await read({
      version,
      tensors: W,
      metadata: {
        uint8: typed('uint8', 255),
        int8: typed('int8', -128),
        uint16: typed('uint16', 65_535),
        int16: typed('int16', -32_768),
        uint32: typed('uint32', 2 ** 32 - 1),
        int32: typed('int32', -(2 ** 31)),
        uint64: typed('uint64', 2n ** 53n - 1n),
        int64: typed('int64', -(2n ** 53n) + 1n),
        float32: typed('float32', 0.1),
        float64: typed('float64', 0.1),
        yes: true,
        no: false,
        text: 'ein Fluß \u{1F642}',
        empty: '',
      },
    });
    expect(Object.fromEntries(metadata)).toEqual({
      ...{ uint8: 255, int8: -128, uint16: 65_535, int16: -32_768, uint32: 2 ** 32 - 1, int32: -(2 ** 31) },
      ...{ uint64: 2 ** 53 - 1, int64: -(2 ** 53) + 1, float32: Math.fround(0.1), float64: 0.1 },
      ...{ yes: true, no: false, text: 'ein Fluß \u{1F642}', empty: '' },
    });
  });

  it('have integers beyond 2^53 as bigint', async () => {
    const { metadata } = await read({
      tensors: W,
      metadata: { most: typed('uint64', 2n ** 64n - 1n), least: typed('int64', -(2n ** 63n)) },
    });
    expect([...metadata.values()]).toEqual([2n ** 64n - 1n, -(2n ** 63n)]);
  });

  it('have arrays of all types', async () => {
    const arrays = {
      uint8: Uint8Array.of(0, 255),
      int8: Int8Array.of(-1),
      uint16: Uint16Array.of(65_535),
      int16: Int16Array.of(-2),
      uint32: Uint32Array.of(2 ** 32 - 1),
      int32: Int32Array.of(-3, 3),
      float32: Float32Array.of(0.5, -Infinity),
      float64: Float64Array.of(0.1),
      uint64: BigUint64Array.of(2n ** 64n - 1n),
      int64: BigInt64Array.of(-1n),
    };
    const { metadata } = await read({
      tensors: W,
      metadata: {
        ...arrays,
        flags: arrayOf('bool', [true, false]),
        texts: ['a', '', 'ü'],
        none: arrayOf('string', []),
        nested: arrayOf('array', [arrayOf('int8', [1]), arrayOf('string', ['x', 'y'])]),
      },
    });
    expect(Object.fromEntries(metadata)).toEqual({
      ...arrays,
      flags: Uint8Array.of(1, 0),
      texts: ['a', '', 'ü'],
      none: [],
      nested: [Int8Array.of(1), ['x', 'y']],
    });
  });

  it('larger than one part of the reader keep all values', async () => {
    const texts = Array.from({ length: 40_000 }, (_, at) => `token ${at} ${'ü'.repeat(at % 7)}`);
    const numbers = Float64Array.from({ length: 100_000 }, (_, at) => at / 3);
    const long = '\ufefflänge €\0🌊 '.repeat(100_000);
    const exact = { 'tokenizer.chat_template': long, 'tokenizer.list': ['a', long, 'b'] };
    const { metadata } = await read({ tensors: W, metadata: { texts, numbers, long, ...exact, end: 7 } });
    expect([...metadata.entries()]).toEqual([
      ['texts', texts],
      ['numbers', numbers],
      ['long', long],
      ...Object.entries(exact),
      ['end', 7],
    ]);
  });

  it('may describe the model in bytes that are not UTF-8, and not its tokens', async () => {
    const latin = Buffer.from('caf\xe9', 'latin1');
    const { metadata } = await read({ tensors: W, metadata: { 'general.name': typed('string', latin) } });
    expect(metadata.get('general.name')).toBe('caf\ufffd');
  });

  it('may describe the model in a long text that is not UTF-8, and not its template', async () => {
    const text = typed('string', Buffer.from(`${'x'.repeat(600_000)}caf\xe9${'y'.repeat(600_000)}`, 'latin1'));
    const { metadata } = await read({ tensors: W, metadata: { 'general.description': text, end: 7 } });
    expect(metadata.get('general.description')).toBe(`${'x'.repeat(600_000)}caf\ufffd${'y'.repeat(600_000)}`);
    expect(metadata.get('end')).toBe(7);
    const broken = ggufBytes({ tensors: W, metadata: { 'tokenizer.chat_template': text } });
    expect(await problemsIn({ 'a.gguf': broken }, 'a.gguf')).toEqual([
      expect.stringMatching(/"tokenizer.chat_template" in its metadata is not UTF-8$/),
    ]);
  });

  it('that are long leave turns to the event loop', async () => {
    const folder = await folderWith({
      'a.gguf': ggufBytes({ tensors: W, metadata: { long: 'x'.repeat(8 * 2 ** 20) } }),
    });
    let turns = 0;
    let isOpen = true;
    const count = (): void => {
      turns += 1;
      if (isOpen) setImmediate(count);
    };
    setImmediate(count);
    await readFrom(folder, 'a.gguf');
    isOpen = false;
    expect(turns).toBeGreaterThan(20);
  });

  it('may have the character that stands for wrong bytes', async () => {
    const tokens = ['\ufffd', 'a\ufffd'];
    const { metadata } = await read({ tensors: W, metadata: { 'tokenizer.ggml.tokens': tokens } });
    expect(metadata.get('tokenizer.ggml.tokens')).toEqual(tokens);
  });
});

describe('tensors', () => {
  it('have their places and row-major shapes, in plain types and in blocks', async () => {
    const file: TestGguf = {
      tensors: {
        norm: { shape: [3] },
        half: { type: 'f16', shape: [2, 3] },
        brain: { type: 'bf16', shape: [5, 2, 3] },
        blocks: { type: 'q4_k', shape: [2, 512] },
        scalar: { shape: [] },
      },
    };
    const start = ggufParts(file).header.length;
    const { tensors, bytes, files } = await read(file);
    expect(Object.fromEntries(tensors)).toEqual({
      norm: { file: 0, offset: start, bytes: 12, type: 1, shape: [3] },
      half: { file: 0, offset: start + 32, bytes: 12, type: 10, shape: [2, 3] },
      brain: { file: 0, offset: start + 64, bytes: 60, type: 16, shape: [5, 2, 3] },
      blocks: { file: 0, offset: start + 128, bytes: 576, format: 'q4_k', shape: [2, 512] },
      scalar: { file: 0, offset: start + 704, bytes: 4, type: 1, shape: [] },
    });
    expect([bytes, files.length]).toEqual([ggufBytes(file).length, 1]);
  });

  it.each([1, 8, 64, 4096])('are aligned to %i bytes as the file states', async (alignment) => {
    const file = { alignment, tensors: { a: { shape: [3] }, b: { type: 'q4_0', shape: [32] } } } as const;
    const { tensors } = await read(file);
    const start = ggufParts(file).header.length;
    const next = Math.ceil(12 / alignment) * alignment;
    expect([...tensors.values()].map(({ offset }) => offset)).toEqual([start, start + next]);
  });

  it('may be listed in another order than that of their places', async () => {
    const { tensors } = await read({ tensors: { b: { shape: [2], offset: 32 }, a: { shape: [2], offset: 0 } } });
    const [b = 0, a = 0] = [...tensors.values()].map(({ offset }) => offset);
    expect(b - a).toBe(32);
  });

  it('of the factors of a rotary embedding are read', async () => {
    const values = Float32Array.of(1, 2.5, 8);
    const { ropeFactors } = await read({
      tensors: { ...W, 'rope_freqs.weight': { shape: [3], data: new Uint8Array(values.buffer) } },
    });
    expect(Object.fromEntries(ropeFactors)).toEqual({ 'rope_freqs.weight': values });
  });

  it.each([
    ['the kind that the file states', { 'general.file_type': 15 }, 'q4_k_m'],
    ['a kind that its writer has guessed', { 'general.file_type': 1024 + 15 }, 'q4_k_m'],
    ['the type of most bytes if the kind states floats wrongly', { 'general.file_type': 1 }, 'q8_0'],
    ['the type of most bytes without a known kind', { 'general.file_type': 99 }, 'q8_0'],
    ['the type of most bytes without a kind', {}, 'q8_0'],
  ])('have as dtype %s', async (_, metadata, dtype) => {
    const tensors = { a: { shape: [20] }, b: { type: 'q8_0', shape: [4, 32] } } as const;
    expect((await read({ metadata, tensors })).dtype).toBe(dtype);
  });
});

describe('a split model', () => {
  const WHOLE: TestGguf = {
    metadata: { 'general.architecture': 'llama' },
    tensors: { a: { shape: [2] }, b: { type: 'q8_0', shape: [2, 32] }, c: { shape: [4] } },
  };
  const PARTS = splitGguf(WHOLE, { parts: [[], ['a'], ['b', 'c']] });
  const [FIRST, SECOND, THIRD] = [0, 1, 2].map((at) => partName('model', at, 3)) as [string, string, string];

  it.each([FIRST, SECOND, THIRD])('is read whole by the name of its part %s', async (part) => {
    const folder = await folderWith(PARTS);
    const { metadata, tensors, files, bytes, modelFile } = await readFrom(folder, part);
    expect(metadata.get('general.architecture')).toBe('llama');
    expect([...tensors].map(([name, { file }]) => [name, file])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 2],
    ]);
    expect(modelFile).toBe(join(folder, FIRST));
    expect(files).toEqual(await Promise.all([FIRST, SECOND, THIRD].map((name) => realpath(join(folder, name)))));
    expect(bytes).toBe(Object.values(PARTS).reduce((sum, { length }) => sum + length, 0));
  });

  it('that lacks a part is refused with the name of the part', async () => {
    const { [SECOND]: _, ...rest } = PARTS;
    expect(await problemsIn(rest, FIRST)).toEqual([`${SECOND} is missing`]);
  });

  it('with a part of another position is refused', async () => {
    const swapped = { ...PARTS, [SECOND]: PARTS[THIRD] as Buffer };
    expect(await problemsIn(swapped, FIRST)).toEqual([
      expect.stringMatching(/^model-00001-of-00003.gguf states "3" for "split.tensors.count", and the files have 4/),
      expect.stringMatching(/^model-00002-of-00003.gguf states "2" for "split.no", and the files have 1/),
      expect.stringMatching(/^model-00003-of-00003.gguf states "3" for "split.tensors.count", and the files have 4/),
    ]);
  });

  it('with one tensor twice is refused', async () => {
    const twice = splitGguf({ tensors: { a: { shape: [2] }, b: { shape: [2] } } }, { parts: [['a'], ['a']] });
    expect(await problemsIn(twice, partName('model', 0, 2))).toEqual([
      'model-00002-of-00002.gguf has tensor "a", which model-00001-of-00002.gguf has too',
    ]);
  });

  it('with a file name that does not state the parts is refused with the form of the names', async () => {
    expect(await problemsIn({ 'model.gguf': PARTS[FIRST] as Buffer }, 'model.gguf')).toEqual([
      'model.gguf is one of "3" parts: name all parts as NAME-00001-of-0000N.gguf',
    ]);
  });

  it('may be a whole file with the name of a part', async () => {
    const folder = await folderWith({ [SECOND]: ggufBytes(WHOLE) });
    const { tensors, files } = await readFrom(folder, SECOND);
    expect([...tensors.values()].map(({ file }) => file)).toEqual([0, 0, 0]);
    expect(files).toHaveLength(1);
  });
});

it('a header of many tokens is read in many turns of the event loop', async () => {
  const tokens = Array.from({ length: 150_000 }, (_, at) => `\u0120token${at}`);
  const folder = await folderWith({ 'a.gguf': ggufBytes({ tensors: W, metadata: { tokens, more: tokens } }) });
  let turns = 0;
  let isRead = false;
  const count = (): void => {
    turns += 1;
    if (!isRead) setImmediate(count);
  };
  setImmediate(count);
  const { metadata } = await readFrom(folder, 'a.gguf');
  isRead = true;
  expect(metadata.get('more')).toHaveLength(150_000);
  expect(turns).toBeGreaterThan(10);
});

it('a file that ends with other bytes is read', async () => {
  const folder = await folderWith({ 'a.gguf': Buffer.concat([ggufBytes({ tensors: W }), Buffer.from('signature')]) });
  await writeFile(join(folder, 'other.txt'), '');
  expect((await readFrom(folder, 'a.gguf')).tensors.size).toBe(1);
});
