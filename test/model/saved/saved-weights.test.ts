/** Folders of saved weights, made by a real engine: which are stale, and what is removed. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeSaved, savedWeights } from '../../../src/model/saved/saved-weights.ts';
import { LOCK_SUFFIX, readManifest, SAVED, sourceFile } from '../../../src/protocol/host/weights-cache.ts';
import { modelFile } from '../../engine/harness.ts';
import { EngineProcess, openOptions } from '../../engine/prepared/engine-process.ts';

let root: string;
let cache: string;
let model: string;
const processes: EngineProcess[] = [];
const RUNTIME = '1.30.0';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'prune-'));
  cache = join(root, 'weights');
  model = join(root, 'model.onnx');
  copyFileSync(modelFile, model);
});
afterEach(async () => {
  for (const engine of processes.splice(0)) {
    engine.kill();
    await engine.gone();
  }
  rmSync(root, { recursive: true });
});

/** An engine that maps saved weights. */
async function openEngine(): Promise<EngineProcess> {
  const engine = new EngineProcess();
  processes.push(engine);
  engine.open(openOptions(model, cache));
  await engine.opened();
  return engine;
}

const staleIn = (runtime = RUNTIME): (string | undefined)[] => savedWeights(cache, runtime).map(({ stale }) => stale);

describe.runIf(process.platform === 'linux')('saved weights', () => {
  test('of an unchanged model are current, and their bytes are those of the disk', async () => {
    await openEngine();
    const [entry, ...others] = savedWeights(cache, RUNTIME);
    expect([entry?.stale, entry?.sources, others]).toEqual([undefined, [model], []]);
    expect(entry?.bytes).toBeGreaterThan(1e6);
    expect(entry?.bytes).toBeLessThan(20e6);
  });

  test.each([
    ['changed', () => utimesSync(model, 1, 1)],
    ['removed', () => rmSync(model)],
  ])('of a %s model are stale', async (_, change) => {
    await openEngine();
    change();
    expect(staleIn()).toEqual(['the weights of the model are gone or have changed']);
  });

  test('of another version of the runtime are stale', async () => {
    await openEngine();
    expect(staleIn('1.31.0')).toEqual([`made by version ${RUNTIME} of the runtime`]);
  });

  test('that a killed engine has begun are stale, and those of a living one are not listed', async () => {
    const maker = new EngineProcess();
    processes.push(maker);
    await maker.hold(openOptions(model, cache));
    expect(savedWeights(cache, RUNTIME)).toEqual([]);
    maker.kill();
    await maker.gone();
    expect(staleIn()).toEqual(['not complete']);
  });

  test('are replaced by newer ones of the same files, from a version that builds another graph', async () => {
    await openEngine();
    const [entry] = savedWeights(cache, RUNTIME);
    const newer = join(cache, 'f'.repeat(32));
    mkdirSync(newer);
    writeFileSync(join(newer, SAVED.manifest), JSON.stringify(readManifest(entry?.path ?? '')));
    utimesSync(join(newer, SAVED.manifest), new Date(Date.now() + 60_000), new Date(Date.now() + 60_000));
    const stale = new Map(savedWeights(cache, RUNTIME).map((one) => [one.path, one.stale]));
    expect(stale.get(entry?.path ?? '')).toBe('replaced by newer ones of the same model');
    expect(stale.get(newer)).toBeUndefined();
  });

  test('that come from converted weights are stale with these', async () => {
    await openEngine();
    const [entry] = savedWeights(cache, RUNTIME);
    const converted = join(cache, 'f'.repeat(32));
    mkdirSync(converted);
    const [weights, manifest] = [join(converted, SAVED.weights), readManifest(entry?.path ?? '')];
    writeFileSync(weights, '');
    const sources = [...(manifest?.sources ?? []), sourceFile(weights)];
    writeFileSync(join(entry?.path ?? '', SAVED.manifest), JSON.stringify({ ...manifest, sources }));
    // The folder of the converted weights has no manifest: its engine was killed.
    const stale = new Map(savedWeights(cache, RUNTIME).map((one) => [one.path, one.stale]));
    expect(stale.get(converted)).toBe('not complete');
    expect(stale.get(entry?.path ?? '')).toBe('its converted weights are not used any more');
  });

  test('of another context are not replaced: each context has a graph of its own', async () => {
    await openEngine();
    const [entry] = savedWeights(cache, RUNTIME);
    const other = join(cache, 'f'.repeat(32));
    const manifest = readManifest(entry?.path ?? '');
    mkdirSync(other);
    writeFileSync(join(other, SAVED.manifest), JSON.stringify({ ...manifest, context: Number(manifest?.context) + 1 }));
    utimesSync(join(other, SAVED.manifest), new Date(Date.now() + 60_000), new Date(Date.now() + 60_000));
    expect(staleIn()).toEqual([undefined, undefined]);
  });

  test('can be removed while an engine maps them: it still generates', async () => {
    const engine = await openEngine();
    const [entry] = savedWeights(cache, RUNTIME);
    const ids = await engine.generate();
    removeSaved(entry!);
    expect([existsSync(entry!.path), existsSync(entry!.path + LOCK_SUFFIX)]).toEqual([false, false]);
    expect(await engine.generate()).toEqual(ids);
  });

  test('do not include other files of the folder', async () => {
    mkdirSync(join(cache, 'notes'), { recursive: true });
    writeFileSync(join(cache, 'notes.txt'), '');
    expect(savedWeights(cache, RUNTIME)).toEqual([]);
    expect(savedWeights(join(root, 'missing'), RUNTIME)).toEqual([]);
  });
});
