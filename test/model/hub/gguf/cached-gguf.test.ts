/** The GGUF file in the hub cache that `--model` selects, and the name of the model. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { modelFolder, modelName } from '../../../../src/model/folder.ts';

const COMMIT = 'c0ffee'.padEnd(40, '0');
const PARTS = ['BF16/m-BF16-00001-of-00002.gguf', 'BF16/m-BF16-00002-of-00002.gguf'];

/** A cache with one snapshot of `org/name`. */
async function cacheWith(...paths: string[]): Promise<{ cache: string; snapshot: string }> {
  const cache = await mkdtemp(join(tmpdir(), 'gguf-cache-'));
  const repository = join(cache, 'models--org--name');
  const snapshot = join(repository, 'snapshots', COMMIT);
  for (const path of [...paths.map((one) => join(snapshot, one)), join(repository, 'refs/main')]) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, COMMIT);
  }
  return { cache, snapshot };
}

describe('the model of a name in the hub cache', () => {
  test.each([
    ['org/name:Q4_0', 'm-Q4_0.gguf'],
    ['org/name:q8_0', 'm-Q8_0.gguf'],
    [`org/name:Q8_0@${COMMIT}`, 'm-Q8_0.gguf'],
    ['org/name/m-Q8_0.gguf', 'm-Q8_0.gguf'],
    ['org/name:BF16', PARTS[0] ?? ''],
    ['org/name/BF16/m-BF16-00001-of-00002.gguf', PARTS[0] ?? ''],
    ['org/name/BF16', PARTS[0] ?? ''],
    ['org/name', 'm-Q4_0.gguf'],
  ])('%s is the file %s', async (model, file) => {
    const { cache, snapshot } = await cacheWith('m-Q4_0.gguf', 'm-Q8_0.gguf', 'config.json', ...PARTS);
    expect(modelFolder({ model }, cache)).toBe(join(snapshot, file));
  });

  test.each(['model.safetensors', 'onnx/model_q4.onnx', 'genai_config.json'])(
    'is the folder without a tag, if it has %s too',
    async (other) => {
      const { cache, snapshot } = await cacheWith('m-Q4_0.gguf', other);
      expect(modelFolder({ model: 'org/name' }, cache)).toBe(join(snapshot));
      expect(modelFolder({ model: 'org/name:Q4_0' }, cache)).toBe(join(snapshot, 'm-Q4_0.gguf'));
    },
  );

  test.each([
    [
      'org/name:Q5_0',
      'In the hub cache, org/name has no GGUF file with the tag Q5_0; it has F16, Q6_K. To download it, run rbees-workerd pull org/name:Q5_0',
    ],
    [
      'org/name/x.gguf',
      'In the hub cache, org/name has no GGUF model x.gguf; it has F16, Q6_K. To download it, run rbees-workerd pull org/name/x.gguf',
    ],
    [
      'org/name',
      'In the hub cache, org/name has no single GGUF file of Q4_K_M, Q4_0, Q8_0; it has F16, Q6_K. Use org/name:F16',
    ],
    [
      'org/other:Q4_0',
      'org/other:Q4_0 is neither a folder nor in the hub cache: run rbees-workerd pull org/other:Q4_0',
    ],
    [
      'org/other/x.gguf',
      'org/other/x.gguf is neither a file nor in the hub cache: run rbees-workerd pull org/other/x.gguf',
    ],
  ])('is missing for %s', async (model, message) => {
    const { cache } = await cacheWith('m-F16.gguf', 'm-Q6_K.gguf');
    expect(() => modelFolder({ model }, cache)).toThrow(new Error(message));
  });
});

test.each([
  ['org/name:q4_k_m', 'org/name:Q4_K_M'],
  ['org/name:Q4_K_M@v1', 'org/name:Q4_K_M'],
  ['org/name/m-Q4_0.gguf@v1', 'org/name/m-Q4_0'],
  ['org/name/Q4/m-00001-of-00002.gguf', 'org/name/Q4/m'],
  [`/cache/models--org--name/snapshots/${COMMIT}/Q4/m-00001-of-00002.gguf`, 'org/name/Q4/m'],
  ['/somewhere/m-Q4_0.gguf', 'm-Q4_0'],
])('the name of the model %s is %s', (model, name) => {
  expect(modelName({ model })).toBe(name);
});
