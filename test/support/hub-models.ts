/** Repositories for tests of the hub: the embedded model as it would be published, small ones made up, and their cache folders. */
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { embeddedModel } from '../../src/model/locate.ts';
import type { HubFile } from './hub-server.ts';

/** A folder's files as those of a repository; `.onnx` and their data in LFS. */
export async function filesOf(folder: string): Promise<Record<string, HubFile>> {
  const files: Record<string, HubFile> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[relative(folder, path)] = { bytes: await readFile(path), lfs: /\.onnx/.test(entry.name) };
  }
  return files;
}

export const haiku = (): Promise<Record<string, HubFile>> => filesOf(embeddedModel());

/** Bytes that repeat nowhere in a thousand, the same in every run. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** A folder of its own, as `HF_HOME`. */
export const freshHome = (): Promise<string> => mkdtemp(join(tmpdir(), 'hub-'));

/** All paths below a folder, sorted; links are not followed. */
export async function pathsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
