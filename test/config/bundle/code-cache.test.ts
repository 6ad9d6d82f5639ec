/** The folder with the compiled code: whole or absent, and never damaged code for V8. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCode, writeCodes } from '../../../src/config/bundle/code-cache.ts';

let parent: string;
let folder: string;
const CODE = Buffer.from('compiled code of a script');
const codes = (): Map<string, Uint8Array> => new Map([['a.cjs', CODE]]);

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'code-cache-'));
  folder = join(parent, 'v1', 'cli');
});
afterEach(() => rmSync(parent, { recursive: true }));

test('the code of a script is read as it was written', () => {
  writeCodes(folder, codes);
  expect(Buffer.from(readCode(folder, 'a.cjs') ?? [])).toEqual(CODE);
  expect(readdirSync(join(parent, 'v1'))).toEqual(['cli']);
});

test('a script without code has none', () => {
  writeCodes(folder, codes);
  expect(readCode(folder, 'b.cjs')).toBeUndefined();
  expect(readCode(join(parent, 'none'), 'a.cjs')).toBeUndefined();
});

test('damaged code is an error: one changed byte, a cut file, an empty file', () => {
  writeCodes(folder, codes);
  const file = join(folder, 'a.cjs.bin');
  const whole = readFileSync(file);
  const changed = Buffer.from(whole);
  changed[20] = (changed[20] ?? 0) ^ 1;
  for (const damaged of [changed, whole.subarray(0, 20), whole.subarray(0, 3), Buffer.alloc(0)]) {
    writeFileSync(file, damaged);
    expect(() => readCode(folder, 'a.cjs')).toThrow('damaged');
  }
});

test('a folder that is there or that another process writes is left alone', () => {
  mkdirSync(`${folder}.unfinished`, { recursive: true });
  expect(() => writeCodes(folder, codes)).toThrow('EEXIST');
  expect(readdirSync(join(parent, 'v1'))).toEqual(['cli.unfinished']);
  rmSync(`${folder}.unfinished`, { recursive: true });
  writeCodes(folder, codes);
  const other = (): never => {
    throw new Error('must not compile');
  };
  expect(() => writeCodes(folder, other)).toThrow('exists');
});

test('the unfinished folder of a process that has died is replaced', () => {
  const unfinished = `${folder}.unfinished`;
  mkdirSync(unfinished, { recursive: true });
  const long = new Date(Date.now() - 3_600_000);
  utimesSync(unfinished, long, long);
  writeCodes(folder, codes);
  expect(readCode(folder, 'a.cjs')).toBeDefined();
});

test('an error while the code is compiled leaves no folder', () => {
  const broken = (): never => {
    throw new Error('no code');
  };
  expect(() => writeCodes(folder, broken)).toThrow('no code');
  expect(readdirSync(join(parent, 'v1'))).toEqual([]);
});
