/** Hostile and damaged GGUF files: one clear sentence for each, and never a place outside of the file. */
import { mkdtemp, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GgufModel } from '../../../../src/model/checkpoint/gguf/gguf-file.ts';
import { GGUF_LIMITS } from '../../../../src/model/checkpoint/gguf/header-bytes.ts';
import { readGguf } from '../../../../src/model/checkpoint/gguf/read-gguf.ts';
import type { ModelProblem } from '../../../../src/model/problems.ts';
import {
  arrayOf,
  ggufBytes,
  ggufParts,
  type TestGguf,
  type TestTensor,
  type TypedValue,
  text,
  typed,
  uint32,
  uint64,
} from '../../../support/gguf/gguf-bytes.ts';
import { METADATA } from '../../../support/gguf/small-llama.ts';
import { expectSentence, generator } from '../mutations.ts';

const FILE = 'a.gguf';

/** The model of a file, or the problem of the file. */
async function read(bytes: Uint8Array, size?: number): Promise<GgufModel | string> {
  const folder = await mkdtemp(join(tmpdir(), 'gguf-'));
  await writeFile(join(folder, FILE), bytes);
  if (size !== undefined) await truncate(join(folder, FILE), size);
  return readIn(folder);
}

async function readIn(folder: string): Promise<GgufModel | string> {
  const problems: ModelProblem[] = [];
  const model = await readGguf(folder, FILE, problems);
  expect(problems).toHaveLength(model ? 0 : 1);
  const [{ file, problem } = { file: FILE, problem: '' }] = problems;
  if (model) return model;
  expect(file).toBe(FILE);
  expectSentence(problem);
  return problem;
}

/** A header without its entries. */
const head = (tensors: number | bigint, entries: number | bigint, version = 3): Buffer =>
  Buffer.concat([Buffer.from('GGUF'), uint32(version), uint64(tensors), uint64(entries)]);
/** A file with one entry: a key, and the bytes behind it. */
const entry = (key: string | Uint8Array, ...value: readonly Uint8Array[]): Buffer =>
  Buffer.concat([head(0, 1), text(key), ...value]);
const tensor = (fields: TestTensor, more: Partial<TestGguf> = {}): Buffer =>
  ggufBytes({ tensors: { w: fields }, ...more });
/** The entry of a tensor with sizes that need 64 bits. */
const listed = (dimensions: readonly (number | bigint)[], type: number, offset: number | bigint): Buffer =>
  Buffer.concat([
    head(1, 0),
    ...[text('w'), uint32(dimensions.length), ...dimensions.map(uint64), uint32(type), uint64(offset)],
    Buffer.alloc(64),
  ]);

const big = Buffer.alloc(4);
big.writeUInt32BE(3);

describe('a file', () => {
  it.each<[string, Uint8Array, string | RegExp]>([
    ['without bytes', Buffer.alloc(0), 'is empty'],
    ['of 3 bytes', Buffer.from('GGU'), 'is not a GGUF file'],
    ['of 8 bytes', Buffer.from('GGUF\x03\0\0\0'), 'is cut off: it has 8 of the 24 bytes that a GGUF file needs'],
    ['of another format', Buffer.from('<!DOCTYPE html>'.padEnd(40)), 'is not a GGUF file'],
    ['that is a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /Git LFS pointer/],
    ['of the format before GGUF', Buffer.from('tjgg'.padEnd(40)), /^has a format older than GGUF: convert the model/],
    ['of version 1', head(0, 0, 1), /^has version 1 of GGUF; allowed: 2 and 3. Convert the model again/],
    ['of version 4', head(0, 0, 4), /^has version 4 of GGUF; allowed: 2 and 3/],
    ['of version 0', head(0, 0, 0), /^has version 0 of GGUF/],
    [
      'that is big-endian',
      Buffer.concat([Buffer.from('GGUF'), big, Buffer.alloc(16)]),
      /^is big-endian; allowed: little-endian. Convert the model again/,
    ],
    ['without tensors', head(0, 0), 'has no tensors: use another file'],
    ['of 2^64 - 1 tensors', head(2n ** 64n - 1n, 0), 'exceeds the limit of 262144 tensors for a model'],
    ['of 2^64 - 1 entries', head(0, 2n ** 64n - 1n), /^has 18446744073709552000 entries of metadata; at most 65536/],
    ['of more entries than bytes', head(0, 1000), /^is cut off: it has 24 of the 13,024 bytes that its header needs/],
    ['of more tensors than bytes', head(1000, 0), /^is cut off: it has 24 of the 24,024 bytes that its header needs/],
  ])('%s is refused', async (_, bytes, problem) => {
    expect(await read(bytes)).toMatch(problem);
  });
});

describe('metadata', () => {
  const nested = (depth: number): TypedValue =>
    arrayOf('array', [depth === 0 ? arrayOf('int8', [1]) : nested(depth - 1)]);
  it.each<[string, Uint8Array, string | RegExp]>([
    [
      'a key of 2^64 - 1 bytes',
      Buffer.concat([head(0, 1), uint64(2n ** 64n - 1n), Buffer.alloc(64)]),
      /a key of its metadata has 18446744073709552000 bytes; at most 512 are allowed$/,
    ],
    ['a key of 513 bytes', ggufBytes({ metadata: { ['k'.repeat(513)]: 1 } }), /a key of its metadata has 513 bytes/],
    [
      'a key that is not UTF-8',
      entry(Buffer.from([0xff, 0x41]), uint32(4), uint32(1)),
      /a key of its metadata is not UTF-8$/,
    ],
    [
      'one key twice',
      Buffer.concat([head(0, 2), text('k'), uint32(4), uint32(1), text('k'), uint32(4), uint32(2)]),
      'is damaged: its metadata has two "k"',
    ],
    [
      'a value of an unknown type',
      entry('k', uint32(13), uint64(0)),
      /"k" in its metadata has a value of the unknown type 13$/,
    ],
    ['a boolean of 2', entry('k', uint32(7), Buffer.of(2)), /"k" in its metadata has the boolean 2; allowed: 0 and 1$/],
    ['no value', entry('key', uint32(10)), /^is cut off: it has 39 of the 47 bytes that its header needs$/],
    ['a text longer than the file', entry('k', uint32(8), uint64(100)), /^is cut off: it has \d+ of the \d+ bytes/],
    [
      'a text longer than the limit',
      entry('k', uint32(8), uint64(2n ** 40n)),
      /"k" in its metadata has a text of more than 33554432 bytes$/,
    ],
    [
      'a token that is not UTF-8',
      ggufBytes({ metadata: { 'tokenizer.ggml.tokens': arrayOf('string', ['a', Buffer.from([0xc3])]) } }),
      /"tokenizer.ggml.tokens" in its metadata has the text 1, which is not UTF-8$/,
    ],
    [
      'a template that is not UTF-8',
      ggufBytes({ metadata: { 'tokenizer.chat_template': typed('string', Buffer.from([0xff])) } }),
      /"tokenizer.chat_template" in its metadata is not UTF-8$/,
    ],
    [
      'an array longer than the file',
      entry('k', uint32(9), uint32(4), uint64(1000)),
      /^is cut off: it has \d+ of the 4,049 bytes/,
    ],
    [
      'an array of texts longer than the file',
      entry('k', uint32(9), uint32(8), uint64(1000)),
      /^is cut off: it has \d+ of the 8,049 bytes/,
    ],
    [
      'an array of 2^64 - 1 elements',
      entry('k', uint32(9), uint32(0), uint64(2n ** 64n - 1n)),
      /"k" in its metadata exceeds the limit of 4194304 elements for the arrays of a model$/,
    ],
    ['an array of an unknown type', entry('k', uint32(9), uint32(99), uint64(1), uint64(0)), /of the unknown type 99$/],
    ['a boolean of 3 in an array', entry('k', uint32(9), uint32(7), uint64(2), Buffer.of(1, 3)), /has the boolean 3/],
    [
      'arrays in arrays in arrays',
      ggufBytes({ metadata: { k: nested(6) } }),
      /"k" in its metadata nests deeper than 4 levels$/,
    ],
    [
      'many arrays in an array',
      ggufBytes({
        metadata: {
          k: arrayOf(
            'array',
            Array.from({ length: 5000 }, () => arrayOf('int8', [])),
          ),
        },
      }),
      /has more than 4096 arrays inside of arrays$/,
    ],
    [
      'an alignment of 0',
      ggufBytes({ metadata: { 'general.alignment': 0 } }),
      /^is damaged: its "general.alignment" is "0"; allowed: powers of two up to 65536$/,
    ],
    ['an alignment of 24', ggufBytes({ metadata: { 'general.alignment': 24 } }), /"general.alignment" is "24"/],
    [
      'an alignment of 2^31',
      ggufBytes({ metadata: { 'general.alignment': 2 ** 31 } }),
      /"general.alignment" is "2147483648"/,
    ],
    [
      'an alignment of text',
      ggufBytes({ metadata: { 'general.alignment': '32\n' } }),
      /"general.alignment" is "32\\n"/,
    ],
    ['an alignment of an array', ggufBytes({ metadata: { 'general.alignment': ['32'] } }), /is an array/],
  ])('with %s are refused', async (_, bytes, problem) => {
    expect(await read(bytes)).toMatch(problem);
  });

  it('may have any key', async () => {
    const metadata = { __proto__x: 1, constructor: 2, toString: 3, '': 4, '\u001b[31m': 5 };
    const model = await read(ggufBytes({ metadata, tensors: { w: { shape: [1] } } }));
    expect([...(model as GgufModel).metadata.values()]).toEqual([1, 2, 3, 4, 5]);
  });

  it('that take more bytes than the limit are not read', async () => {
    const bytes = Buffer.concat([head(0, 1), text('k'), uint32(9), uint32(10), uint64(0)]);
    bytes.writeBigUInt64LE(BigInt(GGUF_LIMITS.elements), bytes.length - 8);
    const texts = Buffer.concat([head(0, 3), text('a'), uint32(8), uint64(GGUF_LIMITS.text)]);
    // A sparse file: its bytes are zeros, which take no space on the disk.
    expect(await read(texts, 4 * GGUF_LIMITS.allBytes)).toMatch(/its metadata has two ""|limit of 67108864 bytes/);
    expect(await read(bytes, 4 * GGUF_LIMITS.allBytes)).toBe('has no tensors: use another file');
  });

  it('with two arrays that exceed the limit together are refused', async () => {
    const array = (key: string): Buffer =>
      Buffer.concat([
        text(key),
        uint32(9),
        uint32(0),
        uint64(GGUF_LIMITS.elements / 2 + 1),
        Buffer.alloc(GGUF_LIMITS.elements / 2 + 1),
      ]);
    expect(await read(Buffer.concat([head(0, 2), array('a'), array('b')]))).toMatch(
      /"b" in its metadata exceeds the limit of 4194304 elements for the arrays of a model$/,
    );
  });
});

describe('a tensor', () => {
  it.each<[string, Uint8Array, string | RegExp]>([
    [
      'of a long name',
      ggufBytes({ tensors: { ['w'.repeat(600)]: { shape: [1] } } }),
      /the name of a tensor has 600 bytes; at most 512/,
    ],
    ['of 5 dimensions', tensor({ shape: [1, 1, 1, 1, 1] }), /tensor "w" has 5 dimensions; at most 4 are allowed$/],
    [
      'of 2^32 - 1 dimensions',
      Buffer.concat([head(1, 0), text('w'), uint32(2 ** 32 - 1), Buffer.alloc(64)]),
      /has 4294967295 dimensions/,
    ],
    [
      'of the type IQ2_XXS',
      tensor({ shape: [256], type: 16 }),
      /^has the tensor "w" of the type IQ2_XXS; allowed: F32, F16, BF16, Q4_0, .*MXFP4. Use another file of the model, such as Q4_K_M$/,
    ],
    ['of the type TQ1_0', tensor({ shape: [256], type: 34 }), /of the type TQ1_0;/],
    ['of the type I8', tensor({ shape: [256], type: 24 }), /of the type I8;/],
    ['of the type F64', tensor({ shape: [256], type: 28 }), /of the type F64;/],
    ['of the type Q8_K', tensor({ shape: [256], type: 15 }), /of the type Q8_K;/],
    ['of the type NVFP4', tensor({ shape: [256], type: 40 }), /of the type NVFP4;/],
    ['of a removed type', tensor({ shape: [256], type: 31 }), /of the type Q4_0_4_4;/],
    ['of an unknown type', tensor({ shape: [256], type: 1000 }), /of the type with the number 1000, which is unknown;/],
    [
      'of rows that are no blocks',
      listed([48, 2], 2, 0),
      /^is damaged: tensor "w" of Q4_0\[2, 48\] has rows that are no multiple of 32, the block of its type$/,
    ],
    [
      'of rows that are no super-blocks',
      listed([128, 2], 12, 0),
      /of Q4_K\[2, 128\] has rows that are no multiple of 256/,
    ],
    ['of a scalar in blocks', listed([], 2, 0), /of Q4_0\[\] has rows that are no multiple of 32/],
    ['of 2^64 - 1 elements', listed([2n ** 64n - 1n], 0, 0), /has more elements than a file$/],
    ['of 2^53 elements', listed([2n ** 26n, 2n ** 27n], 0, 0), /has more elements than a file$/],
    ['of 2^64 elements by the product', listed([2n ** 32n, 2n ** 32n], 0, 0), /has more elements than a file$/],
    [
      'at an offset of 2^64 - 32',
      listed([1], 0, 2n ** 64n - 32n),
      /tensor "w" is at byte 18446744073709552000 of the data; its place is 0, with an alignment of 32$/,
    ],
    [
      'at an offset without alignment',
      tensor({ shape: [1], offset: 4 }),
      /tensor "w" is at byte 4 of the data; its place is 0/,
    ],
    [
      'behind a gap',
      ggufBytes({ tensors: { a: { shape: [1] }, b: { shape: [1], offset: 64 } } }),
      /tensor "b" is at byte 64 of the data; its place is 32/,
    ],
    [
      'that overlaps another one',
      ggufBytes({ tensors: { a: { shape: [9] }, b: { shape: [1], offset: 32 } } }),
      'is damaged: tensors "a" and "b" overlap',
    ],
    [
      'at the place of another one',
      ggufBytes({ tensors: { a: { shape: [1] }, b: { shape: [1], offset: 0 } } }),
      'is damaged: tensors "a" and "b" overlap',
    ],
    [
      'of factors in another type',
      ggufBytes({ tensors: { 'rope_freqs.weight': { type: 'f16', shape: [4] } } }),
      /^has a wrong tensor "rope_freqs.weight"; allowed: at most 16384 values of the type F32$/,
    ],
    [
      'of too many factors',
      ggufBytes({ tensors: { 'rope_freqs.weight': { shape: [20_000] } } }),
      /^has a wrong tensor "rope_freqs.weight"/,
    ],
    [
      'with the name of another one',
      Buffer.concat([
        head(2, 0),
        ...[0, 32].flatMap((at) => [text('w'), uint32(1), uint64(1), uint32(0), uint64(at)]),
        Buffer.alloc(128),
      ]),
      'is damaged: it has two tensors "w"',
    ],
  ])('%s is refused', async (_, bytes, problem) => {
    expect(await read(bytes)).toMatch(problem);
  });

  it('beyond the file is reported as cut off, with both sizes', async () => {
    const file = { tensors: { a: { shape: [8] }, b: { type: 'q8_0', shape: [2, 32] } } } as const;
    const { header } = ggufParts(file);
    const [whole, needed] = [ggufBytes(file), header.length + 32 + 68];
    expect(await read(whole.subarray(0, needed - 1))).toBe(
      `is cut off: it has ${needed - 1} of the ${needed} bytes that the list of its tensors needs`,
    );
    // The padding behind the last tensor may be absent.
    expect(await read(whole.subarray(0, needed))).toMatchObject({ bytes: needed });
    expect(await read(header)).toMatch(/^is cut off/);
  });

  it('may have no elements', async () => {
    const model = await read(ggufBytes({ tensors: { a: { shape: [0] }, b: { shape: [2, 0] }, c: { shape: [1] } } }));
    expect([...(model as GgufModel).tensors.values()].map(({ bytes }) => bytes)).toEqual([0, 0, 4]);
  });
});

it('a file that is cut off anywhere in its header is refused', async () => {
  const { header } = ggufParts({
    metadata: { ...METADATA, nested: arrayOf('array', [arrayOf('string', ['x'])]) },
    tensors: { w: { shape: [2] } },
  });
  const folder = await mkdtemp(join(tmpdir(), 'gguf-'));
  for (let size = header.length - 1; size > 0; size -= size > 600 ? 37 : 1) {
    await writeFile(join(folder, FILE), header.subarray(0, size));
    expect(await readIn(folder)).toMatch(/^is cut off: it has|^is not a GGUF file$/);
  }
});

const RUNS = 4000;
/** Numbers at the limits of the fields. */
const WORDS = [0n, 1n, 2n, 9n, 31n, 32n, 255n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

function mutated(bytes: Buffer, below: (limit: number) => number): Buffer {
  let file = Buffer.from(bytes);
  for (let change = below(2); change >= 0; change--) {
    const at = below(file.length);
    const [before, after] = [file.subarray(0, at), file.subarray(at)];
    const word = uint64(WORDS[below(WORDS.length)] ?? 0n);
    const kind = below(3) > 0 ? below(3) : 3 + below(3);
    if (kind === 0) file[at] = below(256);
    if (kind === 1) file[at] = (file[at] ?? 0) ^ (1 << below(8));
    if (kind === 2)
      file = Buffer.concat([before, word.subarray(0, 4 + 4 * below(2)), after.subarray(4 + 4 * below(2))]);
    if (kind === 3) file = Buffer.concat([before, after.subarray(below(20))]);
    if (kind === 4) file = Buffer.concat([before, file.subarray(Math.max(0, at - below(60)))]);
    if (kind === 5 && below(4) === 0) file = Buffer.from(before);
    if (file.length === 0) return file;
  }
  return file;
}

describe('a mutated file', () => {
  it('gives places inside of the file, or one sentence', async () => {
    const below = generator(18);
    const metadata = {
      'general.architecture': 'llama',
      texts: ['a', 'bc'],
      numbers: Int16Array.of(1, 2, 3),
      nested: arrayOf('array', [arrayOf('bool', [true])]),
      flag: true,
      'general.description': 'A model. '.repeat(60),
      long: typed('uint64', 7),
    };
    const whole = ggufBytes({
      alignment: 16,
      metadata,
      tensors: {
        a: { shape: [2, 3] },
        'blk.0.w': { type: 'q4_0', shape: [2, 32] },
        h: { type: 'f16', shape: [3, 2, 1] },
      },
    });
    const folder = await mkdtemp(join(tmpdir(), 'gguf-'));
    const outcomes = { read: 0, refused: new Set<string>() };
    for (let run = 0; run < RUNS; run++) {
      const file = mutated(whole, below);
      await writeFile(join(folder, FILE), file);
      const model = await readIn(folder);
      if (typeof model === 'string') {
        outcomes.refused.add(model.replaceAll(/"(?:[^"\\]|\\.)*"|-?[\d,]+/g, '#').slice(0, 60));
        continue;
      }
      outcomes.read += 1;
      for (const { offset, bytes, shape, file: index } of model.tensors.values()) {
        const isInside = offset >= 24 && offset + bytes <= file.length;
        const isWhole = [offset, bytes, ...shape].every((number) => Number.isSafeInteger(number) && number >= 0);
        expect([index, isInside, isWhole]).toEqual([0, true, true]);
      }
    }
    // The mutations reach all parts of the reader.
    expect(outcomes.read).toBeGreaterThan(100);
    expect(outcomes.refused.size).toBeGreaterThan(15);
  }, 120_000);
});
