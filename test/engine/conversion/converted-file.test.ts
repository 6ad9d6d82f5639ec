/** The file with converted weights: written once under a lock, shared, or written for one engine alone. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ConversionTarget, convertedFile } from '../../../src/engine/conversion/converted-file.ts';
import { readableCandidate } from '../../../src/engine/conversion/graph-candidate.ts';
import { planConversion } from '../../../src/engine/conversion/plan/plan-conversion.ts';
import { LoadError } from '../../../src/engine/load/load-error.ts';
import { WeightsFolder } from '../../../src/engine/prepared/weights-folder.ts';
import type { ConversionProgress } from '../../../src/protocol/decoder/conversion.ts';
import { canMountTmpfs, mountTmpfs, unmount } from '../../support/tmpfs.ts';
import { EngineProcess, openOptions } from '../prepared/engine-process.ts';
import { storedDecoder } from './stored-decoder.ts';

const { decoder, file } = storedDecoder({ others: 'q4_0', v: 'q6_k' });
const plan = planConversion(decoder, { file: 1 })!;

let root: string;
let cache: string;
let own: string;
let source: string;
const processes: EngineProcess[] = [];
const mounts: string[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'converted-'));
  [cache, own, source] = [join(root, 'cache'), join(root, 'own'), join(root, 'model.gguf')];
  writeFileSync(source, file);
});
afterEach(async () => {
  for (const engine of processes.splice(0)) {
    engine.kill();
    await engine.gone();
  }
  for (const mount of mounts.splice(0)) unmount(mount);
  rmSync(root, { recursive: true });
});

function convert(changes: Partial<ConversionTarget> = {}) {
  const progress: ConversionProgress[] = [];
  const options = { weightsCache: { folder: cache }, temporaryFolder: own };
  const target: ConversionTarget = {
    ...{ plan, form: 'blocks', weightFiles: [source], options, diskMargin: 0, check: () => undefined },
    report: (one) => progress.push(one),
    ...changes,
  };
  return { ...convertedFile(target), progress, states: progress.map(({ state }) => state) };
}

const keysIn = (folder: string): string[] => readdirSync(folder).filter((name) => !name.includes('.'));

/** The reason why `run` is refused. */
function refusal(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (error instanceof LoadError) return error.reason;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe.runIf(process.platform === 'linux')('converted weights', () => {
  test('are written once, with progress, and found by the next engine', () => {
    const first = convert();
    expect(first.states).toEqual(['converting', 'progress', 'progress', 'progress', 'converted']);
    expect(first.progress[0]).toMatchObject({ bytes: plan.sourceBytes, diskBytes: plan.bytes });
    expect(statSync(first.path).size).toBe(plan.bytes);
    first.release();
    const second = convert();
    expect(second).toMatchObject({ states: [], path: first.path, weights: first.weights });
    expect(first.weights.map(({ from, difference }) => [from, difference])).toEqual([
      ['q4_0', 0],
      ['q6_k', 0],
    ]);
  });

  test.each([undefined, 'q8'] as const)('are one file for all devices: --dtype %s', (quantize) => {
    const floats = storedDecoder({ others: 'bf16' });
    if (quantize) writeFileSync(source, floats.file);
    const states: string[] = [];
    const files = (['cpu', 'webgpu', 'cuda-0', 'coreml'] as const).map((device) => {
      const stored = quantize ? { decoder: floats.decoder, quantize } : { decoder };
      const { candidate } = readableCandidate(
        { device, modelFile: source, weightFiles: [source], ...stored },
        { weightsCache: { folder: cache } },
        { report: ({ state }) => states.push(state), check: () => undefined },
      );
      return candidate.weightFiles[1];
    });
    expect(new Set(files).size).toBe(1);
    expect(states.filter((state) => state === 'converting')).toHaveLength(1);
    expect(keysIn(cache)).toHaveLength(1);
  });

  test('are converted again for a source that has changed, for another form, and for a damaged file', () => {
    const { path } = convert();
    utimesSync(source, 1, 1);
    expect(convert().states.at(-1)).toBe('converted');
    expect(convert({ form: 'q8' }).states.at(-1)).toBe('converted');
    expect(keysIn(cache)).toHaveLength(3);
    utimesSync(source, 2, 2);
    const last = convert();
    truncateSync(last.path, plan.bytes - 1);
    expect(convert().states.at(-1)).toBe('converted');
    expect(existsSync(path)).toBe(true);
  });

  test('are converted again after another process has changed bytes of the file that no sample reads', () => {
    const { path } = convert();
    const right = readFileSync(path);
    writeFileSync(path, Buffer.alloc(right.length, 1));
    utimesSync(path, 1, 1);
    // The samples of this small file cover it, so its digest is made that of the changed bytes.
    const manifest = join(dirname(path), 'manifest.json');
    const digest = new WeightsFolder(cache, basename(dirname(path))).digest(false);
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"digest":"[0-9a-f]+"/, `"digest":"${digest}"`));
    expect(convert().states.at(-1)).toBe('converted');
    expect(readFileSync(path).equals(right)).toBe(true);
  });

  test('are not written for a model that is refused before', () => {
    const check = (): never => {
      throw new LoadError({ code: 'no_logits' });
    };
    expect(refusal(() => convert({ check }))).toEqual({ code: 'no_logits' });
    expect([keysIn(cache), existsSync(own)]).toEqual([[], false]);
  });

  test('with wrong bytes are refused, and nothing stays on the disk', () => {
    writeFileSync(source, Buffer.alloc(file.length, 0xff));
    const message = expect.stringContaining('is no finite number');
    expect(refusal(() => convert())).toEqual({ code: 'cannot_convert', message });
    truncateSync(source, 1000);
    expect(refusal(() => convert())).toMatchObject({
      code: 'cannot_convert',
      message: expect.stringContaining(source),
    });
    expect([keysIn(cache), existsSync(own)]).toEqual([[], false]);
  });

  test('of files that change during the conversion are refused', () => {
    const options = { weightsCache: { folder: cache }, temporaryFolder: own };
    const touch = ({ state }: ConversionProgress): void => {
      if (state === 'progress') utimesSync(source, 1, 1);
    };
    const message = expect.stringContaining('changed while they were converted');
    expect(refusal(() => convert({ options, report: touch }))).toEqual({ code: 'cannot_convert', message });
    expect([keysIn(cache), existsSync(own)]).toEqual([[], false]);
  });

  test('of another process are awaited', async () => {
    const options = { ...openOptions(source, cache), context: 64, temporaryFolder: own };
    const candidates = [{ device: 'cpu', modelFile: source, weightFiles: [source], decoder }] as const;
    const open = (): EngineProcess => {
      const engine = new EngineProcess();
      processes.push(engine);
      engine.open({ ...options, candidates });
      return engine;
    };
    const first = open();
    await first.opened();
    const [path = ''] = keysIn(cache).filter((key) => !existsSync(join(cache, key, 'graph.onnx')));
    const folder = new WeightsFolder(cache, path);
    const lock = folder.lock(() => undefined);
    folder.remove();
    const second = open();
    await second.converting('waiting');
    lock.release();
    await second.opened();
    expect(second.conversions.map(({ state }) => state)).toEqual([
      'waiting',
      'converting',
      'progress',
      'progress',
      'progress',
      'converted',
    ]);
    expect(second.progress.at(-1)?.state).toBe('mapped');
  });
});

describe.runIf(process.platform === 'linux')('an engine converts for itself alone', () => {
  test('without a folder of saved weights, and removes the name of the file', () => {
    const { path, states, release } = convert({ options: { temporaryFolder: own } });
    expect(states).toEqual(['converting', 'progress', 'progress', 'progress', 'converted']);
    expect(readFileSync(path)).toEqual(readFileSync(convert().path));
    release();
    expect(readdirSync(own)).toEqual([]);
  });

  test('if the folder cannot be written, with the reason', () => {
    const { progress, release } = convert({
      options: { weightsCache: { folder: join(source, 'x') }, temporaryFolder: own },
    });
    release();
    expect(progress[0]).toEqual({
      state: 'unshared',
      reason: { code: 'failed', message: expect.stringContaining('ENOTDIR') },
    });
    expect(progress.at(-1)?.state).toBe('converted');
  });

  test('if the folder has no file locks', () => {
    const lock = vi.spyOn(WeightsFolder.prototype, 'lock').mockImplementation(() => {
      throw new Error('the folder has no file locks (flock)');
    });
    try {
      const { progress, release } = convert();
      release();
      expect(progress[0]).toEqual({
        state: 'unshared',
        reason: { code: 'failed', message: 'the folder has no file locks (flock)' },
      });
      expect(progress.at(-1)?.state).toBe('converted');
    } finally {
      lock.mockRestore();
    }
  });

  test.each(['.', 'own'])('but not where another user could replace the file: %s', (folder) => {
    mkdirSync(own);
    chmodSync(join(own, '..', folder), 0o777);
    expect(refusal(() => convert({ options: { temporaryFolder: own } }))).toMatchObject({
      code: 'not_written',
      message: 'other users can write to it',
    });
    expect(readdirSync(own)).toEqual([]);
  });

  test('but not below /proc, with the reason of the system', () => {
    const reason = refusal(() => convert({ options: { temporaryFolder: '/proc/rbees-workerd/own' } }));
    expect(reason).toMatchObject({ code: 'not_written', message: expect.stringContaining('ENOENT') });
  });

  test('and removes the files of killed engines also if it shares its own file', () => {
    mkdirSync(own);
    writeFileSync(join(own, 'old.bin'), '');
    utimesSync(join(own, 'old.bin'), 1, 1);
    convert();
    expect(readdirSync(own)).toEqual([]);
  });

  test('and removes the old files of engines that were killed, but not those in use', () => {
    mkdirSync(own);
    for (const name of ['old.bin', 'new.bin']) writeFileSync(join(own, name), '');
    const used = convert({ options: { temporaryFolder: own } });
    for (const path of [join(own, 'old.bin'), used.path]) utimesSync(path, 1, 1);
    convert({ options: { temporaryFolder: own } }).release();
    expect(
      readdirSync(own)
        .map((name) => join(own, name))
        .sort(),
    ).toEqual([join(own, 'new.bin'), used.path].sort());
    used.release();
  });

  test.runIf(canMountTmpfs())('if the disk of the folder is full; a full disk for both is refused', () => {
    mkdirSync(cache);
    mountTmpfs(cache, 'size=64k,mode=755');
    mounts.push(cache);
    const { progress, release } = convert();
    release();
    expect(progress[0]).toMatchObject({ state: 'unshared', reason: { code: 'disk_full', needed: plan.bytes } });
    expect(keysIn(cache)).toEqual([]);
    const options = { weightsCache: { folder: cache }, temporaryFolder: join(cache, 'own') };
    expect(refusal(() => convert({ options }))).toMatchObject({ code: 'disk_full', folder: join(cache, 'own') });
    // The disk fills up while the file is written.
    expect(refusal(() => convert({ options, diskMargin: -plan.bytes }))).toMatchObject({
      code: 'not_written',
      message: expect.stringContaining('ENOSPC'),
    });
    expect(readdirSync(join(cache, 'own'))).toEqual([]);
  });
});
