/** Saved weights in a real folder: made once by real engines, mapped by the others, refused when they are wrong. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { usableThreads } from '../../../src/engine/host/cpu-threads.ts';
import { logitsOfPrompt } from '../../../src/engine/load/numeric-check.ts';
import { loadOrt } from '../../../src/engine/ort/api.ts';
import { readModel } from '../../../src/engine/ort/model-file.ts';
import { Session } from '../../../src/engine/ort/session.ts';
import { matricesOf } from '../../../src/engine/prepared/eligible-graph.ts';
import { folderOfPlaces, saveWeights, UnusableWeights } from '../../../src/engine/prepared/save-weights.ts';
import { sharedWeights } from '../../../src/engine/prepared/share-weights.ts';
import { requireLogits, WrongWeights } from '../../../src/engine/prepared/shared-logits.ts';
import { openRoot, takeTurn, WeightsFolder } from '../../../src/engine/prepared/weights-folder.ts';
import { savedWeights } from '../../../src/model/saved/saved-weights.ts';
import type { WeightsProgress } from '../../../src/protocol/decoder/sharing.ts';
import { readManifest, SAVED, type WeightsManifest } from '../../../src/protocol/host/weights-cache.ts';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import { canMountTmpfs, mountTmpfs, unmount } from '../../support/tmpfs.ts';
import { Bench, modelFile, onCpu, runtimeLibrary } from '../harness.ts';
import { EngineProcess, openOptions } from './engine-process.ts';

let root: string;
let cache: string;
let model: string;
const processes: EngineProcess[] = [];
const mounts: string[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'saved-weights-'));
  cache = join(root, 'weights');
  model = join(root, 'model.onnx');
  copyFileSync(modelFile, model);
});
afterEach(async () => {
  for (const engine of processes.splice(0)) {
    engine.kill();
    await engine.gone();
  }
  for (const mount of mounts.splice(0)) unmount(mount);
  rmSync(root, { recursive: true });
});

/** Opens an engine in a process of its own, and returns the progress of sharing until it is open. */
async function openIn(folder: string, overrides: Partial<EngineOptions> = {}): Promise<WeightsProgress[]> {
  const engine = new EngineProcess();
  processes.push(engine);
  engine.open(openOptions(model, folder, overrides));
  await engine.opened();
  return engine.progress;
}

const statesOf = (progress: readonly WeightsProgress[]): string[] => progress.map(({ state }) => state);
const keysIn = (folder: string): string[] => readdirSync(folder).filter((name) => !name.includes('.'));
const manifestIn = (folder: string): WeightsManifest => readManifest(join(folder, keysIn(folder)[0] ?? ''))!;
const savedFile = (name: keyof typeof SAVED): string => join(cache, keysIn(cache)[0] ?? '', SAVED[name]);

describe.runIf(process.platform === 'linux')('saved weights', () => {
  test('are made by the first engine and mapped by the next one, which generates the same ids', async () => {
    const own = await new Bench({ ...onCpu(model) }).run({ maxTokens: 24 });
    expect(statesOf(await openIn(cache))).toEqual(['saving', 'saved', 'mapped']);
    const mapped = new Bench({ ...onCpu(model), weightsCache: { folder: cache, leastBytes: 1 } });
    expect((await mapped.run({ maxTokens: 24 })).ids).toEqual(own.ids);
    expect(statesOf(await openIn(cache))).toEqual(['mapped']);
    expect(keysIn(cache)).toHaveLength(1);
  });

  test('of a graph with another edit are not read: the engine saves its own, which replace them', async () => {
    const { edited } = readModel(model, { attentionMask: 'none' });
    const states: string[] = [];
    sharedWeights({
      ...{ api: loadOrt(runtimeLibrary), device: deviceNamed('cpu'), model: { path: model, edited: edited! } },
      ...{ names: {}, threads: 1, weightFiles: [model], matrices: matricesOf(edited!.bytes, false)! },
      options: { ...openOptions(model, cache), context: 256 },
      report: ({ state }) => states.push(state),
      reserve: () => () => undefined,
    });
    expect(states).toEqual(['saving', 'saved']);
    const [withMask] = keysIn(cache);
    expect(statesOf(await openIn(cache, { context: 256 }))).toEqual(['saving', 'saved', 'mapped']);
    expect(keysIn(cache)).toHaveLength(2);
    const stale = savedWeights(cache).filter((entry) => entry.stale?.startsWith('replaced'));
    expect(stale.map(({ path }) => basename(path))).toEqual([withMask]);
  });

  test('are made once by engines that start together', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => openIn(cache)));
    const states = all.map(statesOf);
    expect(states.filter((one) => one.includes('saving'))).toHaveLength(1);
    for (const one of states) expect(one.at(-1)).toBe('mapped');
    expect(keysIn(cache)).toHaveLength(1);
  });

  test('are opened by a bounded number of engines at a time: another one waits, and narrates it', async () => {
    await openIn(cache);
    const turns = Math.max(1, Math.floor(usableThreads().count / 2));
    const held = Array.from({ length: turns }, () => takeTurn(cache, turns, () => undefined));
    const engine = new EngineProcess();
    processes.push(engine);
    engine.open(openOptions(model, cache));
    await engine.reported('queued');
    for (const turn of held) turn?.release();
    await engine.opened();
    expect(statesOf(engine.progress)).toEqual(['queued', 'mapped']);
    expect(takeTurn(join(root, 'missing'), 1, () => undefined)).toBeUndefined();
  });

  test('of a killed process count for nothing: a waiting engine makes them', async () => {
    const maker = new EngineProcess();
    processes.push(maker);
    await maker.hold(openOptions(model, cache));
    const waiting = new EngineProcess();
    processes.push(waiting);
    waiting.open(openOptions(model, cache));
    await waiting.reported('waiting');
    expect(statesOf(waiting.progress)).toEqual(['waiting']);
    maker.kill();
    await waiting.opened();
    expect(statesOf(waiting.progress)).toEqual(['waiting', 'saving', 'saved', 'mapped']);
  });

  test('are complete, or made again, after an engine was killed at any time', async () => {
    for (let round = 0; round < 4; round++) {
      const engine = new EngineProcess();
      processes.push(engine);
      engine.open(openOptions(model, cache));
      await engine.reported('saving', 'mapped');
      engine.kill();
      await engine.gone();
    }
    expect((await openIn(cache)).at(-1)?.state).toBe('mapped');
  });

  test('that are shorter or differ in a sample are made again', async () => {
    await openIn(cache);
    truncateSync(savedFile('weights'), statSync(savedFile('weights')).size - 1);
    expect(statesOf(await openIn(cache))).toEqual(['saving', 'saved', 'mapped']);
    writeSync(openSync(savedFile('weights'), 'r+'), Buffer.alloc(4096, 1), 0, 4096, 0);
    expect(statesOf(await openIn(cache))).toEqual(['saving', 'saved', 'mapped']);
    appendFileSync(savedFile('logits'), '1234');
    expect(statesOf(await openIn(cache))).toEqual(['saving', 'saved', 'mapped']);
    writeFileSync(savedFile('manifest'), '{"layout": 1, "sources": 7}');
    expect(statesOf(await openIn(cache))).toEqual(['saving', 'saved', 'mapped']);
  });

  test('whose samples are right and whose logits differ are made again', async () => {
    await openIn(cache);
    const folder = new WeightsFolder(cache, keysIn(cache)[0] ?? '');
    const file = openSync(folder.file('weights'), 'r+');
    for (const [offset, bytes] of manifestIn(cache).saved!.parts)
      writeSync(file, Buffer.alloc(bytes), 0, bytes, offset);
    const { saved, ...facts } = manifestIn(cache);
    folder.publish({ ...facts, saved: { ...saved!, digest: folder.digest() } });
    const progress = await openIn(cache);
    expect(statesOf(progress)).toEqual(['unshared', 'saving', 'saved', 'mapped']);
    expect(progress[0]).toMatchObject({ reason: { code: 'differs' } });
  });

  test('are made again for a changed model, and not for a link to it', async () => {
    await openIn(cache);
    utimesSync(model, 1, 1);
    expect(statesOf(await openIn(cache))).toEqual(['saving', 'saved', 'mapped']);
    expect(keysIn(cache)).toHaveLength(2);
  });

  test('that were marked are not made again', async () => {
    await openIn(cache);
    const { saved: _, ...facts } = manifestIn(cache);
    new WeightsFolder(cache, keysIn(cache)[0] ?? '').markUnusable({ ...facts, unusable: 'a test' });
    const [first, ...others] = await openIn(cache);
    expect([first, others]).toEqual([{ state: 'unshared', reason: { code: 'unusable', message: 'a test' } }, []]);
  });

  test('that have ended many engines and were never right are not opened any more', async () => {
    await openIn(cache);
    expect(existsSync(savedFile('proven'))).toBe(true);
    writeFileSync(savedFile('attempts'), '.'.repeat(65));
    expect(statesOf(await openIn(cache))).toEqual(['mapped']);
    rmSync(savedFile('proven'));
    const progress = await openIn(cache);
    expect(progress).toMatchObject([
      { state: 'unshared', reason: { code: 'unusable', message: expect.stringContaining('engines ended') } },
    ]);
    expect(statesOf(await openIn(cache))).toEqual(['unshared']);
  });

  test('are not made for a small model and without a folder', async () => {
    expect(await openIn(cache, { weightsCache: { folder: cache } })).toEqual([]);
    const { weightsCache: _, ...without } = openOptions(model, cache);
    const engine = new EngineProcess();
    processes.push(engine);
    engine.open(without);
    await engine.opened();
    expect(engine.progress).toEqual([]);
    expect(existsSync(cache)).toBe(false);
  });

  test('are made for a model of integers', async () => {
    const quantized = join(import.meta.dirname, '../../models/external/model.onnx');
    const files = [quantized, `${quantized}_data`];
    const candidates = [{ device: 'cpu', modelFile: quantized, weightFiles: files }] as const;
    expect(statesOf(await openIn(cache, { candidates, context: 64 }))).toEqual(['saving', 'saved', 'mapped']);
  });
});

describe.runIf(process.platform === 'linux')('a folder that cannot be used', () => {
  const unshared = async (folder: string) => {
    const progress = await openIn(folder);
    expect(statesOf(progress)).toEqual(['unshared']);
    return progress[0];
  };

  test('below a file, or where other users can write, is named in the reason', async () => {
    expect(await unshared(join(model, 'weights'))).toMatchObject({
      reason: { code: 'failed', message: expect.stringContaining('ENOTDIR') },
    });
    mkdirSync(cache);
    execFileSync('chmod', ['0777', cache]);
    expect(await unshared(cache)).toMatchObject({ reason: { message: expect.stringContaining('other users') } });
  });

  const canMount = canMountTmpfs();
  test.runIf(canMount)('on a read-only disk gives complete weights, and takes no new ones', async () => {
    mount('size=512m,mode=755');
    await openIn(cache);
    execFileSync('mount', ['-o', 'remount,ro', cache]);
    expect(statesOf(await openIn(cache))).toEqual(['mapped']);
    utimesSync(model, 1, 1);
    expect(await unshared(cache)).toMatchObject({
      reason: { code: 'failed', message: expect.stringContaining('EROFS') },
    });
  });

  test.runIf(canMount)('on a disk that is nearly full is not written', async () => {
    mount('size=4m,mode=755');
    expect(await unshared(cache)).toMatchObject({ reason: { code: 'disk_full' } });
    expect(keysIn(cache)).toEqual([]);
  });

  test.runIf(canMount)('that fills up while the weights are written gets nothing, and the reason is reported', () => {
    mount('size=5m,mode=755');
    const [found, progress]: [ReturnType<typeof readModel>, WeightsProgress[]] = [readModel(model), []];
    const edited = found.edited!;
    const shared = sharedWeights({
      ...{ api: loadOrt(runtimeLibrary), device: deviceNamed('cpu'), model: { path: model, edited } },
      ...{ names: {}, threads: 1, weightFiles: [model], matrices: matricesOf(edited.bytes, false)! },
      options: { ...openOptions(model, cache), context: 256 },
      report: (one) => progress.push(one),
      reserve: () => () => undefined,
      diskMargin: Number.NEGATIVE_INFINITY,
    });
    expect([shared, statesOf(progress)]).toEqual([undefined, ['saving', 'unshared']]);
    expect(progress[1]).toMatchObject({ reason: { code: 'failed' } });
    expect(keysIn(cache)).toEqual([]);
  });

  function mount(options: string): void {
    mkdirSync(cache);
    mountTmpfs(cache, options);
    mounts.push(cache);
  }
});

describe.runIf(process.platform === 'linux')('weights of MatMulNBits at accuracy level 4', () => {
  const quantized = join(import.meta.dirname, '../../models/asked/model.onnx');
  const sourceOf = () => {
    const api = loadOrt(runtimeLibrary);
    const found = readModel(quantized);
    const files = { names: {}, threads: 1, weightFiles: [quantized] };
    return { api, device: deviceNamed('cpu'), model: { path: found.path, edited: found.edited! }, ...files };
  };
  const forced = { leastExternalBytes: 256 };
  const fresh = (): WeightsFolder => {
    const folder = new WeightsFolder(openRoot(cache), 'a'.repeat(32));
    folder.begin();
    return folder;
  };

  test('are refused', () => {
    expect(() => saveWeights({ ...sourceOf(), forced: { ...forced, operators: ['MatMul'] } }, fresh())).toThrow(
      new UnusableWeights('the runtime prepacks MatMulNBits, which is not tested'),
    );
  });

  test('compute wrong logits where the runtime writes them, and the numeric check finds it', () => {
    const source = sourceOf();
    const folder = fresh();
    const saved = saveWeights(
      { ...source, forced: { ...forced, operators: ['MatMul', 'MatMulNBits'], keepsOffsets: true } },
      folder,
    );
    const graph = readFileSync(folder.file('graph'));
    const mapped = { ...source.model.edited, bytes: graph, folder: folderOfPlaces(folder, saved), isRequired: true };
    const session = Session.open(source.api, { path: quantized, edited: mapped }, source.device, { threads: 1 });
    session.reserve({ rows: 1, capacity: 16, chunk: 16, keep: 1 });
    const logits = readFileSync(folder.file('logits'));
    const expected = new Float32Array(new Uint8Array(logits).buffer);
    expect(expected.some((logit) => logit !== 0)).toBe(true);
    expect(() => requireLogits(logitsOfPrompt(session, 16), expected)).toThrow(WrongWeights);
    session.close();
  });
});
