/**
 * Repositories for tests of the hub: the embedded model as it would be published, small made-up ones, and
 * their cache folders.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { onTestFinished } from 'vitest';
import { embeddedModel } from '../../src/model/folder.ts';
import { onnxBytes } from '../onnx/onnx-bytes.ts';
import { type Run, runCli } from './cli.ts';
import { COMMIT, type HubFile, type HubServer } from './hub-server.ts';

/** The files of a folder as files of a repository; `.onnx` and their data are in LFS. */
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

/** Bytes without repetition within a thousand, the same in every run. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** All paths below a folder, sorted; links are not followed. */
export async function pathsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

export const text = (content: string): HubFile => ({ bytes: Buffer.from(content) });

/** The files that `pull` needs besides weights. They cannot be run. */
export const WORDS = {
  'config.json': text('{}'),
  'tokenizer.json': text('{"model":{}}'),
  'tokenizer_config.json': text('{}'),
  'README.md': text('# Not needed'),
};
/** The weights of `LARGE`: long enough to be interrupted, and a graph, so that the folder is valid. */
export const WEIGHTS_FILE = 'onnx/model_q4.onnx';
export const WEIGHTS = onnxBytes({ tensors: [{ dimensions: [500_000], raw: noise(2_000_000) }] });
export const LARGE = { ...WORDS, [WEIGHTS_FILE]: { bytes: WEIGHTS, lfs: true } };

/** A user who pulls from a hub into a home folder. */
export class Puller {
  readonly home: string;
  readonly #hub: HubServer;

  private constructor(hub: HubServer, home: string) {
    this.#hub = hub;
    this.home = home;
  }

  /** The end of the test removes the home folder. */
  static async at(hub: HubServer): Promise<Puller> {
    hub.seen.length = 0;
    const home = await mkdtemp(join(tmpdir(), 'hub-'));
    onTestFinished(() => rm(home, { recursive: true, force: true }));
    return new Puller(hub, home);
  }

  environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { HF_ENDPOINT: this.#hub.url, HF_HOME: this.home, ...more };
  }

  pull(args: readonly string[], more?: Readonly<Record<string, string>>): Promise<Run> {
    return runCli(['pull', ...args], { env: this.environment(more) });
  }

  /** Folder of `org/<name>` in the cache. */
  cacheOf(name: string): string {
    return join(this.home, 'hub', `models--org--${name}`);
  }

  snapshot(name: string): string {
    return join(this.cacheOf(name), 'snapshots', COMMIT);
  }

  blob(name: string, etag: string): string {
    return join(this.cacheOf(name), 'blobs', etag);
  }
}
