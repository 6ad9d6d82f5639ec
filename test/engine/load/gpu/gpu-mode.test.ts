/** The choice of the mode in which a GPU decodes: each refusal leads to a simpler one. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Device } from '../../../../src/engine/devices/device.ts';
import { deviceNamed } from '../../../../src/engine/devices/registry.ts';
import {
  checkGpuMode,
  type GpuMode,
  GpuModeRefusal,
  gpuModeFacts,
  withGpuMode,
} from '../../../../src/engine/load/gpu/gpu-mode.ts';
import { LoadError, ModelFault } from '../../../../src/engine/load/load-error.ts';
import { OrtError } from '../../../../src/engine/ort/api.ts';
import { type ModelFile, readModel, updatesInPlace } from '../../../../src/engine/ort/model-file.ts';
import { readSignature } from '../../../../src/engine/ort/signature.ts';
import type { MemoryPlan } from '../../../../src/protocol/memory-plan.ts';
import type { GpuGraphLimit } from '../../../../src/protocol/reasons.ts';
import { attribute, copyWithAttribute } from '../../../onnx/with-attribute.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gpu-mode-')));
afterAll(() => rmSync(folder, { recursive: true }));

const webgpu = deviceNamed('webgpu');
const cpu = deviceNamed('cpu');
const { capture: _, ...recordsNothing } = webgpu;

/** The modes that are tried if the attempts fail with these errors in turn; the last attempt works. */
function triedWith(errors: readonly Error[], asked: GpuMode['mode'] = 'captured', device: Device = webgpu) {
  const tried: GpuMode[] = [];
  const result = withGpuMode(asked, device, (mode) => {
    const error = errors[tried.length];
    tried.push(mode);
    if (error) throw error;
    return mode;
  });
  return { tried: tried.map(({ mode }) => mode), result };
}

const doesNotFit = new LoadError({ code: 'does_not_fit', device: 'webgpu', plan: {} as MemoryPlan });
const tooSmall = new LoadError({ code: 'cache_too_small', cacheMemory: 1, tokens: 1, least: 2, leastMemory: 2 });

describe('the mode of a GPU', () => {
  it('is the asked one if it works, and off on the CPU', () => {
    for (const asked of ['captured', 'eager', 'off'] as const) {
      expect(triedWith([], asked)).toEqual({ tried: [asked], result: { mode: asked } });
      expect(triedWith([], asked, cpu)).toEqual({ tried: ['off'], result: { mode: 'off' } });
    }
  });

  it.each<[string, Error, 'eager' | 'off', GpuGraphLimit]>([
    ['a window', new GpuModeRefusal('window', 'eager'), 'eager', 'window'],
    ['wrong numbers', new GpuModeRefusal('computes_wrong', 'eager'), 'eager', 'computes_wrong'],
    ['a growing cache', new GpuModeRefusal('growing_cache', 'off'), 'off', 'growing_cache'],
    ['a plan that does not fit', doesNotFit, 'off', 'memory'],
    ['a memory of the cache that is too small', tooSmall, 'off', 'memory'],
    [
      'the end of the memory',
      new OrtError('createTensor', 1, 'failed to create GPU buffer: out of memory'),
      'off',
      'memory',
    ],
    [
      'a part of the graph on the host',
      new OrtError(
        'createSession',
        1,
        'This session cannot use the graph capture feature as requested by the user as all nodes are not partitioned',
      ),
      'eager',
      'host_nodes',
    ],
  ])('is simpler after %s', (_name, error, mode, limit) => {
    const detail = error instanceof OrtError ? { detail: error.message } : {};
    expect(triedWith([error])).toEqual({ tried: ['captured', mode], result: { mode, limit, ...detail } });
  });

  it('keeps 300 characters of a message at most', () => {
    const { result } = triedWith([new GpuModeRefusal('fails', 'eager', 'x'.repeat(1000))]);
    expect(result.detail).toHaveLength(300);
  });

  it('is never as high again: an error that repeats ends the attempts', () => {
    const refusal = new GpuModeRefusal('host_nodes', 'eager');
    expect(() => triedWith([refusal, refusal])).toThrow(refusal);
  });

  it('is off in the end, with the last reason', () => {
    const errors = [new GpuModeRefusal('window', 'eager'), doesNotFit];
    expect(triedWith(errors)).toEqual({
      tried: ['captured', 'eager', 'off'],
      result: { mode: 'off', limit: 'memory' },
    });
  });

  it('is simpler after any other failure of the runtime or of a driver', () => {
    const failure = new OrtError('runWithBinding', 1, 'CUDA failure 719: unspecified launch failure');
    for (const error of [failure, new Error('The NVIDIA driver refused cuCtxSetCurrent (CUDA error 201)')])
      expect(triedWith([error])).toEqual({
        tried: ['captured', 'eager'],
        result: { mode: 'eager', limit: 'fails', detail: error.message },
      });
  });

  it('does not hide faults of the model, nor errors without steps', () => {
    for (const error of [new ModelFault('no logits'), new OrtError('createSession', 3, 'no such file')])
      expect(() => triedWith([error])).toThrow(error);
    for (const error of [doesNotFit, tooSmall]) expect(() => triedWith([error], 'off')).toThrow(error);
    expect(() => triedWith([new GpuModeRefusal('computes_wrong', 'off'), doesNotFit])).toThrow(doesNotFit);
  });

  it('is reported if the device is a GPU and more than off was asked for', () => {
    expect(gpuModeFacts('captured', webgpu, { mode: 'eager', limit: 'window' })).toEqual({
      gpuGraph: { mode: 'eager', reason: 'window' },
    });
    expect(gpuModeFacts('captured', webgpu, { mode: 'eager', limit: 'fails', detail: 'full' })).toEqual({
      gpuGraph: { mode: 'eager', reason: 'fails', detail: 'full' },
    });
    expect(gpuModeFacts('eager', webgpu, { mode: 'eager' })).toEqual({ gpuGraph: { mode: 'eager' } });
    expect(gpuModeFacts('off', webgpu, { mode: 'off' })).toEqual({});
    expect(gpuModeFacts('captured', cpu, { mode: 'off' })).toEqual({});
  });
});

describe('a graph', () => {
  const read = (name: string): ModelFile =>
    readModel(join(fileURLToPath(new URL('../../../models/', import.meta.url)), name, 'model.onnx'));
  /** The refusal; undefined if the device can compute the graph in this mode. */
  function refusal(mode: GpuMode['mode'], model: ModelFile, device: Device = webgpu) {
    const declared = model.edited && readSignature(model.edited);
    const appends = !updatesInPlace(model, {});
    try {
      checkGpuMode(mode, device, { model, declared, appends });
    } catch (error) {
      if (!(error instanceof GpuModeRefusal)) throw error;
      return [error.limit, error.next];
    }
    return undefined;
  }
  const inPlace = read('qkv-bias');
  const { edited } = inPlace;
  const file = join(folder, 'window.onnx');
  copyWithAttribute(inPlace.path, file, 'GroupQueryAttention', attribute('local_window_size', { integer: 4 }));
  const windowed = readModel(file);

  it('is computed if it takes lengths and updates its cache', () => {
    for (const mode of ['captured', 'eager', 'off'] as const) expect(refusal(mode, inPlace)).toBeUndefined();
  });

  it('is not computed in steps if its cache grows, if it takes a mask, or if it cannot be read', () => {
    for (const mode of ['captured', 'eager'] as const) {
      expect(refusal(mode, read('concat'))).toEqual(['growing_cache', 'off']);
      const { lengths: _lengths, ...declared } = readSignature(edited!);
      const masked = { ...declared, lengths: 'attention_mask' };
      for (const one of [masked, undefined])
        expect(() => checkGpuMode(mode, webgpu, { model: inPlace, declared: one, appends: false })).toThrow(
          new GpuModeRefusal('host_nodes', 'off'),
        );
    }
    expect(refusal('off', read('concat'))).toBeUndefined();
  });

  it('is not recorded with a window, or by a device that records nothing', () => {
    expect(refusal('captured', windowed)).toEqual(['window', 'eager']);
    expect(refusal('eager', windowed)).toBeUndefined();
    expect(refusal('captured', inPlace, recordsNothing)).toEqual(['no_capture', 'eager']);
    expect(refusal('eager', inPlace, recordsNothing)).toBeUndefined();
  });
});
