/** The digest that tells weights apart. */
import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { digestWeights } from '../../src/model/weights-digest.ts';
import { withOpenFiles } from '../support/open-files.ts';

const root = mkdtempSync(join(tmpdir(), 'digest-'));
afterAll(() => rmSync(root, { recursive: true }));

let files = 0;
/** A file of one value, with changes by position. */
function fileOf(bytes: number, changes: Readonly<Record<number, number>> = {}): string {
  const content = Buffer.alloc(bytes, 1);
  for (const [at, value] of Object.entries(changes)) content[Number(at)] = value;
  files += 1;
  const path = join(root, `file-${files}`);
  writeFileSync(path, content);
  return path;
}

const LARGE = 2 ** 21;

describe('the digest of weights', () => {
  test.runIf(process.platform === 'linux')('keeps few of 300 files open', async () => {
    const one = fileOf(LARGE);
    const links = Array.from({ length: 300 }, (_, at) => `${one}-${at}`);
    for (const path of links) linkSync(one, path);
    const { result, most } = await withOpenFiles(() => digestWeights(links));
    expect(result).toMatch(/^[0-9a-f]{64}$/);
    expect(most).toBeLessThan(100);
  });

  test('does not depend on the names and the order of the files', async () => {
    const digest = await digestWeights([fileOf(LARGE), fileOf(10)]);
    expect(await digestWeights([fileOf(10), fileOf(LARGE)])).toBe(digest);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each([
    ['the first byte', { 0: 2 }],
    ['the last byte', { [LARGE - 1]: 2 }],
  ])('differs if %s differs', async (_, changes) => {
    expect(await digestWeights([fileOf(LARGE, changes)])).not.toBe(await digestWeights([fileOf(LARGE)]));
  });

  test('differs if most bytes between differ, as those of a fine-tuned model do', async () => {
    const changes = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [10_000 + 2000 * at, 3]));
    expect(await digestWeights([fileOf(LARGE, changes)])).not.toBe(await digestWeights([fileOf(LARGE)]));
  });

  test.each([[0], [0.37], [0.9]])('differs if a tenth of the bytes differs, from %d of the file on', async (from) => {
    const first = Math.floor(from * LARGE);
    const changes = Object.fromEntries(Array.from({ length: LARGE / 10 }, (_, at) => [first + at, 3]));
    expect(await digestWeights([fileOf(LARGE, changes)])).not.toBe(await digestWeights([fileOf(LARGE)]));
  });

  test('differs if the size differs', async () => {
    expect(await digestWeights([fileOf(LARGE + 1)])).not.toBe(await digestWeights([fileOf(LARGE)]));
    expect(await digestWeights([fileOf(0)])).not.toBe(await digestWeights([fileOf(1)]));
    expect(await digestWeights([])).not.toBe(await digestWeights([fileOf(0)]));
    const dtypes = [undefined, 'q8', 'q4'];
    const digests = await Promise.all(dtypes.map((dtype) => digestWeights([fileOf(10)], dtype)));
    expect(new Set(digests).size).toBe(dtypes.length);
  });

  test('of a file that is gone is an error', async () => {
    await expect(digestWeights([join(root, 'nothing')])).rejects.toThrow('ENOENT');
  });
});
