/** The file with converted weights on a system without file locks. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { convertedFile } from '../../../src/engine/conversion/converted-file.ts';
import { planConversion } from '../../../src/engine/conversion/plan/plan-conversion.ts';
import type { ConversionProgress } from '../../../src/protocol/decoder/conversion.ts';
import { storedDecoder } from './stored-decoder.ts';

const { decoder, file } = storedDecoder({ others: 'q4_0' });
const plan = planConversion(decoder, { file: 1 })!;
const HOUR_S = 3600;

let root: string;
const platform = Object.getOwnPropertyDescriptor(process, 'platform')!;
beforeEach(() => {
  // The engine locks files on Linux only.
  Object.defineProperty(process, 'platform', { ...platform, value: 'darwin' });
  root = mkdtempSync(join(tmpdir(), 'without-locks-'));
  writeFileSync(join(root, 'model.gguf'), file);
});
afterEach(() => {
  Object.defineProperty(process, 'platform', platform);
  rmSync(root, { recursive: true });
});

function convert() {
  const progress: ConversionProgress[] = [];
  const options = { weightsCache: { folder: join(root, 'cache') }, temporaryFolder: join(root, 'own') };
  const converted = convertedFile({
    ...{ plan, form: 'blocks', weightFiles: [join(root, 'model.gguf')], options, diskMargin: 0 },
    check: () => undefined,
    report: (one) => progress.push(one),
  });
  return { ...converted, progress };
}

test('is not shared: each engine converts for itself, with the reason', () => {
  const { progress, isShared, release } = convert();
  expect(progress[0]).toEqual({
    state: 'unshared',
    reason: { code: 'failed', message: expect.stringContaining('has no file locks') },
  });
  expect([progress.at(-1)?.state, isShared]).toEqual(['converted', false]);
  release();
  expect(readdirSync(join(root, 'own'))).toEqual([]);
});

test('files that no engine can still be about to map are removed', () => {
  mkdirSync(join(root, 'own'));
  for (const [name, hours] of [
    ['new.bin', 0],
    ['recent.bin', 0.5],
    ['old.bin', 2],
  ] as const) {
    const path = join(root, 'own', name);
    writeFileSync(path, '');
    const time = Date.now() / 1000 - hours * HOUR_S;
    utimesSync(path, time, time);
  }
  convert().release();
  expect(readdirSync(join(root, 'own')).sort()).toEqual(['new.bin', 'recent.bin']);
});
