/** `models`: real caches of the hub, with formats that run and formats that do not, links, copies and remains. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ModelRow } from '../../../src/commands/models/model-rows.ts';
import { embeddedModel } from '../../../src/model/folder.ts';
import { SAVED, sourceFile, WEIGHTS_LAYOUT } from '../../../src/protocol/host/weights-cache.ts';
import { type Run, runCli } from '../../support/cli.ts';
import { haiku, Puller, pathsIn } from '../../support/hub-models.ts';
import { COMMIT, HubServer } from '../../support/hub-server.ts';
import { startWorker } from '../../support/worker.ts';

let hub: HubServer;
let me: Puller;
beforeAll(async () => {
  hub = await HubServer.start({ 'org/haiku': { files: await haiku(), refs: { v1: 'a'.repeat(40) } } });
});
afterAll(() => hub.close());
beforeEach(async () => {
  me = await Puller.at(hub);
});

const models = (...args: string[]): Promise<Run> => runCli(['models', ...args], { env: me.environment() });
async function rowsOf(): Promise<ModelRow[]> {
  const { code, stdout, stderr } = await models('--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as ModelRow[];
}

/** Writes a snapshot of `org/<name>` by hand: its blobs, and links to them. */
async function snapshot(name: string, files: Record<string, number>, commit = COMMIT): Promise<string> {
  const folder = me.cacheOf(name);
  await mkdir(join(folder, 'blobs'), { recursive: true });
  for (const [path, size] of Object.entries(files)) {
    const blob = join(folder, 'blobs', `${path.replaceAll('/', '-')}-${commit}`);
    await writeFile(blob, Buffer.alloc(size));
    const link = join(folder, 'snapshots', commit, path);
    await mkdir(join(link, '..'), { recursive: true });
    await symlink(blob, link);
  }
  return folder;
}

describe('models', () => {
  test('lists the embedded model in an empty cache, and tells how to get another', async () => {
    const { code, stdout, stderr } = await models();
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^haiku \(embedded\) +fp32 +- +- +[\d.]+ MB +yes$/m);
    expect(stdout).toContain('rbees-workerd pull <org/model>');
  });

  test('lists a pulled model with its size on the disk, and its command runs it', async () => {
    expect((await me.pull(['org/haiku'])).code).toBe(0);
    const [embedded, row, ...others] = await rowsOf();
    expect([embedded?.source, others]).toEqual(['embedded', []]);
    const cache = me.cacheOf('haiku');
    const blobs = (await pathsIn(cache)).filter((path) => path.startsWith('blobs/') || path.startsWith('refs/'));
    const sizes = await Promise.all(blobs.map(async (path) => (await stat(join(cache, path))).size));
    expect(row).toMatchObject({
      ...{ name: 'org/haiku', source: 'hub', runnable: true, formats: ['onnx'], dtypes: ['fp32'], commit: COMMIT },
      disk_bytes: sizes.reduce((sum, size) => sum + size, 0),
      memory: { context_length: 512, fits: true },
      command: ['rbees-workerd', 'serve', '--model', 'org/haiku'],
    });
    const weights = (await stat(join(embeddedModel(), 'onnx/model.onnx'))).size;
    const { weights_bytes, cache_bytes = 0, total_bytes } = row?.memory ?? {};
    expect([weights_bytes, total_bytes]).toEqual([weights, weights + cache_bytes + 64 * 2 ** 20]);
    expect(Date.parse(row?.last_used ?? '')).toBeGreaterThan(Date.now() - 600_000);
    const worker = await startWorker({ args: row?.command?.slice(2) ?? [], env: me.environment() });
    expect(await (await worker.get('/health')).json()).toMatchObject({ model: 'org/haiku' });
    await worker.kill();
  });

  test('counts a copied file twice, and a hard link once', async () => {
    expect((await me.pull(['org/haiku'], { HF_HUB_DISABLE_SYMLINKS: '1' })).code).toBe(0);
    const paths = await pathsIn(me.cacheOf('haiku'));
    const files = new Map<number, number>();
    for (const path of paths) {
      const { ino, size } = await stat(join(me.cacheOf('haiku'), path));
      files.set(ino, size);
    }
    const row = (await rowsOf()).at(-1);
    expect(row?.disk_bytes).toBe([...files.values()].reduce((sum, size) => sum + size, 0));
  });

  test('lists each revision under the name that --model takes', async () => {
    await me.pull(['org/haiku']);
    await me.pull(['org/haiku@v1']);
    const rows = (await rowsOf()).slice(1);
    expect(rows.map(({ name, runnable }) => [name, runnable]).sort()).toEqual([
      ['org/haiku', true],
      ['org/haiku@v1', true],
    ]);
  });

  test('names the formats that do not run yet, files that are missing, and models without weights', async () => {
    await snapshot('safe', { 'config.json': 2, 'model-00001.safetensors': 1000 });
    await snapshot('llama', { 'pytorch_model.bin': 2000 });
    await snapshot('words', { 'README.md': 5 });
    const { code, stdout } = await models();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^org\/safe@c0ffee\w+ +safetensors +1\.\d+ kB +\w+ ago +- +cannot run$/m);
    expect(stdout).toMatch(/^org\/safe@c0ffee\w+: .*; the folder has model-00001\.safetensors/m);
    expect(stdout).toMatch(/^org\/llama@c0ffee\w+: pytorch: no worker can run this format yet$/m);
    expect(stdout).toMatch(/^org\/words@c0ffee\w+: has no weights$/m);
    for (const row of (await rowsOf()).slice(1)) expect(row).toMatchObject({ runnable: false });
  });

  test('lists each GGUF model of a repository with its size, also one that cannot run', async () => {
    const parts = { 'F16/m-F16-00001-of-00003.gguf': 5000, 'F16/m-F16-00002-of-00003.gguf': 6000 };
    await snapshot('llama', { 'm-Q4_K_M.gguf': 2000, 'm-q8_0.gguf': 4000, 'mmproj-m-F16.gguf': 300, ...parts });
    await snapshot('both', { 'm-Q4_0.gguf': 2000, 'model.safetensors': 1000 });
    const rows = (await rowsOf()).slice(1);
    expect(rows.map(({ name, formats, dtypes, disk_bytes }) => [name, formats, dtypes, disk_bytes])).toEqual([
      [`org/both@${COMMIT}`, ['safetensors'], [], 3000],
      [`org/both:Q4_0@${COMMIT}`, ['gguf'], ['q4_0'], 2000],
      [`org/llama:F16@${COMMIT}`, ['gguf'], ['f16'], 11_000],
      [`org/llama:Q4_K_M@${COMMIT}`, ['gguf'], ['q4_k_m'], 2000],
      [`org/llama:Q8_0@${COMMIT}`, ['gguf'], ['q8_0'], 4000],
    ]);
    const { stdout } = await models();
    expect(stdout).toMatch(/^org\/llama:Q4_K_M@c0ffee\w+ +gguf q4_k_m +2\.00 kB +\w+ ago +- +cannot run$/m);
    expect(stdout).toMatch(/^org\/llama:Q4_K_M@c0ffee\w+: m-Q4_K_M\.gguf is not a GGUF file$/m);
    expect(stdout).toMatch(/^org\/llama:F16@c0ffee\w+: has 2 of 3 files: pull it again$/m);
  });

  test('lists each model folder of a repository of ONNX Runtime GenAI', async () => {
    const config = { 'genai_config.json': 2, 'model.onnx': 10 };
    const files = ['cpu/q4', 'cuda/q4'].flatMap((folder) =>
      Object.entries(config).map(([name, size]) => [`${folder}/${name}`, size] as const),
    );
    await snapshot('genai', Object.fromEntries(files));
    const names = (await rowsOf()).slice(1).map(({ name }) => name);
    expect(names).toEqual([`org/genai/cpu/q4@${COMMIT}`, `org/genai/cuda/q4@${COMMIT}`]);
  });

  test('shows the remains of an interrupted download', async () => {
    await me.pull(['org/haiku']);
    await writeFile(join(me.cacheOf('haiku'), 'blobs', `${'b'.repeat(64)}.incomplete`), Buffer.alloc(12_345));
    await mkdir(join(me.cacheOf('begun'), 'blobs'), { recursive: true });
    await writeFile(join(me.cacheOf('begun'), 'blobs', `${'c'.repeat(64)}.incomplete`), Buffer.alloc(54_321));
    const { stdout } = await models();
    expect(stdout).toContain('org/haiku: 12.3 kB of an interrupted download; pull it again');
    expect(stdout).toMatch(/^org\/begun: the download is not complete$/m);
    const rows = await rowsOf();
    expect(rows.find(({ name }) => name === 'org/begun')).toMatchObject({
      incomplete_files: 1,
      incomplete_bytes: 54_321,
    });
    expect(rows.find(({ name }) => name === 'org/haiku')).toMatchObject({ runnable: true, incomplete_bytes: 12_345 });
  });

  test('has a row with a problem for what it cannot read, and shows no control characters', async () => {
    await me.pull(['org/haiku']);
    await writeFile(me.cacheOf('file'), 'no folder');
    await mkdir(me.cacheOf('\x1b[2Jevil'));
    await writeFile(join(me.snapshot('haiku'), 'extra.txt'), 'x');
    await rm(join(me.snapshot('haiku'), 'tokenizer.json'));
    const { code, stdout } = await models();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^org\/file: cannot be read: /m);
    expect(stdout).toMatch(/^org\/haiku: tokenizer.json is missing/m);
    expect(stdout).not.toContain('\x1b');
  });

  test('says that a cache is no folder, and exits 1', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'models-'));
    const file = join(folder, 'hub');
    await writeFile(file, '');
    const { code, stdout, stderr } = await runCli(['models'], { env: { HF_HUB_CACHE: file } });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(`The cache ${file} cannot be read`);
    await rm(folder, { recursive: true });
  });

  test('reports saved weights, and removes those of models that are gone', async () => {
    const cache = join(me.home, 'rbees-workerd', 'weights');
    const stale = await savedWeights(cache, 'a'.repeat(32), join(me.home, 'gone.onnx'));
    const current = await savedWeights(cache, 'b'.repeat(32));
    expect((await models()).stdout).toMatch(
      /^Saved weights in .*weights: 2\d\d kB; 1\d\d kB are stale: rbees-workerd models --prune$/m,
    );
    const dry = await models('--prune', '--dry-run');
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/^.*a{32}: 1\d\d kB, the weights of the model are gone or have changed$/m);
    expect(dry.stdout).toMatch(/^Would remove 1 saved weights \(1\d\d kB\)\. 1 in use by this version/m);
    expect(existsSync(stale)).toBe(true);
    const { code, stdout } = await models('--prune', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual([expect.objectContaining({ folder: stale, disk_bytes: expect.any(Number) })]);
    expect([existsSync(stale), existsSync(current)]).toEqual([false, true]);
    expect((await models('--prune')).stdout).toContain('Removed 0 saved weights (0 B). 1 in use by this version');
  });

  /** The files of saved weights: 100 kB of the embedded model, or of another file. */
  async function savedWeights(cache: string, key: string, source?: string): Promise<string> {
    const folder = join(cache, key);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, SAVED.weights), Buffer.alloc(100_000, 1));
    const path = join(embeddedModel(), 'onnx/model.onnx');
    const sources = [source === undefined ? sourceFile(path) : { path: source, bytes: 1, modifiedMs: 1, inode: 1 }];
    const saved = { fileBytes: 1, parts: [], mappedBytes: 1, openingBytes: 1, mappedSources: [], digest: '' };
    const facts = { layout: WEIGHTS_LAYOUT, runtime: '1.30.0', processor: 'a processor', context: 64, sources, saved };
    await writeFile(join(folder, SAVED.manifest), JSON.stringify(facts));
    return folder;
  }

  test.each([[['extra']], [['--jsn']], [['--dry-run']]])('refuses a wrong command line: %j', async (args) => {
    const { code, stdout, stderr } = await models(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/models: /);
  });
});
