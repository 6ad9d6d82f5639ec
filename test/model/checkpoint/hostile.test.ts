/** Hostile and damaged .safetensors files: one clear sentence for each, and never a place outside of the file. */
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HEADER_LIMITS } from '../../../src/model/checkpoint/safetensors.ts';
import { type Checkpoint, readCheckpoint } from '../../../src/model/checkpoint/shards.ts';
import type { ModelProblem } from '../../../src/model/problems.ts';
import { modelFolder } from '../folders.ts';
import { expectSentence, generator, mutated } from './mutations.ts';
import { fileWith, headerOf, safetensorsBytes } from './safetensors-bytes.ts';

/** The checkpoint of a folder with one file, or the problem of the file. */
async function read(file: string | Uint8Array): Promise<Checkpoint | string> {
  const folder = await modelFolder({ 'model.safetensors': file });
  const problems: ModelProblem[] = [];
  const checkpoint = await readCheckpoint(folder, problems);
  if (checkpoint) return checkpoint;
  const [{ file: name, problem } = { file: '', problem: '' }, ...more] = problems;
  expect([name, more]).toEqual(['model.safetensors', []]);
  expectSentence(problem);
  return problem;
}

const tensor = (fields: string): string => `{"a":{${fields}}}`;
const GOOD = { a: { shape: [2, 3] }, b: { dtype: 'BF16', shape: [4] } };

describe('a header', () => {
  it.each([
    ['that is empty', '', /^is not a safetensors file: its header is not a JSON object$/],
    ['that is no object', '[]', /its header is not a JSON object/],
    ['that is cut off', '{"a":', /^is damaged: its header is not valid JSON \(byte 5\)$/],
    ['with text after it', '{} x', /not valid JSON \(byte 3\)/],
    ['that begins with spaces', ' {}', /its header is not a JSON object/],
    ['without tensors', '{}', /^has no tensors: use a checkpoint with weights of type F32, F16 or BF16$/],
    ['that is not UTF-8', Buffer.from('{"\xff":1}', 'latin1'), /its header is not UTF-8$/],
    ['that nests deeply', `{"__metadata__":${'['.repeat(100_000)}`, /nests deeper than 16 levels \(byte \d+\)$/],
    ['with two "__metadata__"', '{"__metadata__":{},"__metadata__":{}}', /has two "__metadata__"$/],
    ['with many values', `{"__metadata__":[${'1,'.repeat(70_000)}1]}`, /more than 65536 values besides tensors/],
    ['with a line in a name', '{"a\nb":1}', /not valid JSON/],
    ['with a wrong escape in a name', '{"\\x":1}', /not valid JSON/],
    ['with a long name', `{"${'a'.repeat(600)}":1}`, /has a text of more than 512 bytes \(byte 2\)$/],
    ['with no object for a tensor', '{"a":1}', /not valid JSON/],
  ])('%s is refused', async (_, header, problem) => {
    expect(await read(fileWith(header))).toMatch(problem);
  });

  it.each([
    ['0', 0n, /its header is not a JSON object/],
    ['1', 1n, /^is damaged: its header is not valid JSON/],
    [
      'beyond the file',
      101n,
      /^is cut off or is not a safetensors file: .* a header of 101 bytes, and it has 108 bytes$/,
    ],
    ['2^53', 2n ** 53n, /announce a header of 9007199254740992 bytes/],
    ['2^64 - 1', 2n ** 64n - 1n, /announce a header of 18446744073709551615 bytes/],
  ])('of the length %s is refused', async (_, length, problem) => {
    const file = Buffer.alloc(108, '{');
    file.writeBigUInt64LE(length);
    expect(await read(file)).toMatch(problem);
  });

  it('longer than the limit is not read', async () => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(HEADER_LIMITS.bytes + 1));
    const folder = await modelFolder({ 'model.safetensors': length });
    await truncate(join(folder, 'model.safetensors'), 2 * HEADER_LIMITS.bytes);
    const problems: ModelProblem[] = [];
    expect(await readCheckpoint(folder, problems)).toBeUndefined();
    expect(problems).toEqual([
      {
        file: 'model.safetensors',
        problem: 'has a header of 16777217 bytes; at most 16777216 are allowed',
      },
    ]);
  });

  it('of more tensors than the limit is refused', async () => {
    const one = (at: number): string => `"${at}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;
    const tensors = Array.from({ length: HEADER_LIMITS.tensors + 1 }, (_, at) => one(at));
    expect(await read(fileWith(`{${tensors.join(',')}}`))).toBe('exceeds the limit of 262144 tensors for a checkpoint');
  });

  it('of many tensors is read in many turns of the event loop', async () => {
    const tensors = Array.from({ length: 20_000 }, (_, at) => [`layers.${at}.weight`, { shape: [1] }] as const);
    const folder = await modelFolder({ 'model.safetensors': safetensorsBytes(Object.fromEntries(tensors)) });
    let turns = 0;
    let isRead = false;
    const count = (): void => {
      turns += 1;
      if (!isRead) setImmediate(count);
    };
    const reading = readCheckpoint(folder, []);
    setImmediate(count);
    expect((await reading)?.tensors.size).toBe(20_000);
    isRead = true;
    expect(turns).toBeGreaterThan(20);
  });

  it.each([
    ['an empty file', Buffer.alloc(0), 'is empty'],
    ['7 bytes', Buffer.alloc(7, 1), 'is cut off: it has 7 of the 8 bytes that a safetensors file needs'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n', 'is a Git LFS pointer: run git lfs pull'],
    ['a page of HTML', '<!DOCTYPE html><html></html>', /is not a safetensors file/],
  ])('is not read from %s', async (_, file, problem) => {
    expect(await read(file)).toMatch(problem);
  });
});

describe('a tensor', () => {
  it.each([
    [
      'two names',
      '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}',
      /^is damaged: it has two tensors "a"$/,
    ],
    ['no type', tensor('"shape":[1],"data_offsets":[0,4]'), /tensor "a" needs "dtype", "shape" and "data_offsets"/],
    ['no shape', tensor('"dtype":"F32","data_offsets":[0,4]'), /tensor "a" needs/],
    ['no offsets', tensor('"dtype":"F32","shape":[1]'), /tensor "a" needs/],
    ['one offset', tensor('"dtype":"F32","shape":[1],"data_offsets":[4]'), /tensor "a" needs/],
    ['three offsets', tensor('"dtype":"F32","shape":[1],"data_offsets":[0,4,4]'), /a list of more than 2 numbers$/],
    ['two types', tensor('"dtype":"F32","dtype":"F16"'), /^is damaged: tensor "a" has two "dtype"$/],
    [
      'a negative offset',
      tensor('"dtype":"F32","shape":[1],"data_offsets":[-4,0]'),
      /no whole number from 0 to 2\^53 - 1/,
    ],
    ['a fraction', tensor('"dtype":"F32","shape":[1.5],"data_offsets":[0,4]'), /not valid JSON/],
    ['an exponent', tensor('"dtype":"F32","shape":[1e3],"data_offsets":[0,4]'), /not valid JSON/],
    ['an offset of 2^53', tensor('"dtype":"F32","shape":[1],"data_offsets":[0,9007199254740992]'), /no whole number/],
    [
      'an offset of 40 digits',
      tensor(`"dtype":"F32","shape":[1],"data_offsets":[0,${'9'.repeat(40)}]`),
      /no whole number/,
    ],
    [
      'an end before its begin',
      tensor('"dtype":"F32","shape":[1],"data_offsets":[4,0]'),
      /tensor "a" of F32\[1\] has -4 bytes$/,
    ],
    ['another size', tensor('"dtype":"F32","shape":[1],"data_offsets":[0,8]'), /tensor "a" of F32\[1\] has 8 bytes$/],
    [
      'too many elements',
      tensor('"dtype":"F32","shape":[9007199254740991,9007199254740991],"data_offsets":[0,8]'),
      /has 8 bytes$/,
    ],
    [
      'many dimensions',
      tensor(`"dtype":"F32","shape":[${'1,'.repeat(8)}1],"data_offsets":[0,4]`),
      /a list of more than 8 numbers$/,
    ],
    [
      'a type of control characters',
      tensor('"dtype":"\\u001b[31m","shape":[1],"data_offsets":[4,0]'),
      /of "\\u001b\[31m"\[1\]/,
    ],
    ['no list', tensor('"dtype":"F32","shape":4,"data_offsets":[0,4]'), /not valid JSON/],
  ])('with %s is refused', async (_, header, problem) => {
    expect(await read(fileWith(header, new Uint8Array(8)))).toMatch(problem);
  });

  it('beyond the file is reported as cut off, with both sizes', async () => {
    const whole = safetensorsBytes(GOOD);
    expect(await read(whole.subarray(0, -1))).toBe(
      `is cut off: it has ${whole.length - 1} of the ${whole.length} bytes that tensor "b" needs`,
    );
  });

  it.each([
    ['overlap', [0, 8], [4, 12], 12, /^is damaged: tensors "a" and "b" overlap$/],
    ['are the same bytes', [0, 8], [0, 8], 8, /^is damaged: tensors "." and "." overlap$/],
    ['leave a gap', [0, 8], [12, 20], 20, /^is damaged: 4 bytes before tensor "b" belong to no tensor$/],
    ['leave the begin', [4, 12], [12, 20], 20, /^is damaged: 4 bytes before tensor "a" belong to no tensor$/],
    ['leave the end', [0, 8], [8, 16], 20, /^is damaged: 4 bytes before its end belong to no tensor$/],
  ])('and another that %s are refused', async (_, a, b, size, problem) => {
    const one = (offsets: readonly number[]) => ({ dtype: 'F32', shape: [2], data_offsets: offsets });
    expect(await read(fileWith(JSON.stringify({ a: one(a), b: one(b) }), new Uint8Array(size)))).toMatch(problem);
  });

  it('may have any name', async () => {
    const names = ['__proto__', 'constructor', 'a"b', '\u001b[31m', '', 'toString', 'ü'];
    const checkpoint = await read(
      safetensorsBytes(Object.fromEntries(names.map((name) => [`${name} `, { shape: [1] }]))),
    );
    expect([...(checkpoint as Checkpoint).tensors.keys()]).toEqual(names.map((name) => `${name} `));
    const proto = await read(
      fileWith('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', Buffer.alloc(4)),
    );
    expect((proto as Checkpoint).tensors.get('__proto__')).toMatchObject({ bytes: 4, shape: [1] });
  });
});

const RUNS = 4000;

describe('a mutated file', () => {
  it('gives places inside of the file, or one sentence', async () => {
    const below = generator(17);
    const tensors = { ...GOOD, 'model.layers.0.mlp.up_proj.weight': { dtype: 'F16', shape: [3, 2, 1] } };
    const header = Buffer.from(JSON.stringify({ ...headerOf(tensors), __metadata__: { format: 'pt' } }));
    const data = new Uint8Array(44);
    const folder = await modelFolder({ 'model.safetensors': fileWith(header, data) });
    const outcomes = { read: 0, refused: new Set<string>() };
    for (let run = 0; run < RUNS; run++) {
      const file = below(4) === 0 ? mutated(fileWith(header, data), below) : fileWith(mutated(header, below), data);
      await writeFile(join(folder, 'model.safetensors'), file);
      const problems: ModelProblem[] = [];
      const checkpoint = await readCheckpoint(folder, problems);
      expect(problems).toHaveLength(checkpoint ? 0 : 1);
      if (!checkpoint) {
        const { problem } = problems[0] ?? { problem: '' };
        expectSentence(problem);
        outcomes.refused.add(problem.replaceAll(/"(?:[^"\\]|\\.)*"|-?\d+/g, '#').slice(0, 40));
        continue;
      }
      outcomes.read += 1;
      for (const { offset, bytes, shape, file: index } of checkpoint.tensors.values()) {
        const isInside = offset >= 8 && offset + bytes <= file.length;
        const isWhole = [offset, bytes, ...shape].every((number) => Number.isSafeInteger(number) && number >= 0);
        expect([index, isInside, isWhole]).toEqual([0, true, true]);
      }
    }
    // The mutations reach all parts of the reader.
    expect(outcomes.read).toBeGreaterThan(100);
    expect(outcomes.refused.size).toBeGreaterThan(12);
  }, 120_000);
});
