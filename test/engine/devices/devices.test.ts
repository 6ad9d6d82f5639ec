import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { probeDevices } from '../../../src/engine/devices/probe.ts';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { LoadError } from '../../../src/engine/load/load-error.ts';
import { causeOf } from '../../../src/engine/ort/error-causes.ts';
import { DEVICE_KINDS, type DeviceName, kindOf } from '../../../src/protocol/devices.ts';
import type { Candidate, LoadEvent } from '../../../src/protocol/loading.ts';
import type { Reason } from '../../../src/protocol/reasons.ts';
import { modelFile, options, runtimeLibrary } from '../harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'devices-'));
afterAll(() => rmSync(folder, { recursive: true }));

const on = (device: DeviceName, file = modelFile): Candidate => ({ device, modelFile: file, weightFiles: [file] });

/** Opens and closes an engine. Returns its messages. */
function open(...candidates: Candidate[]): { said: LoadEvent[]; device: string } {
  const said: LoadEvent[] = [];
  const engine = Engine.open({ ...options, candidates }, (message) => {
    if (message.kind !== 'report') said.push(message);
  });
  const { device } = engine.facts;
  engine.close();
  return { said, device };
}

/** The possible reasons for an index that no machine has. */
const MISSING = /^(no_driver|driver_fault|no_gpu_for_process|index_out_of_range)$/;

function refused(attempt: () => unknown): LoadError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error('the model opened');
}
const refusal = (...candidates: Candidate[]): LoadError => refused(() => open(...candidates));

describe('devices are tried in their order, and', () => {
  it('skipped with the reason until one opens', () => {
    // No machine has a hundred cards: the driver, the GPU or this index is missing.
    const { said, device } = open(on('cuda-99'), on('cpu'));
    expect(device).toBe('cpu');
    expect(said[0]).toEqual({
      kind: 'fallback',
      device: 'cuda-99',
      next: 'cpu',
      reason: expect.objectContaining({ code: expect.stringMatching(MISSING) }),
    });
    expect(said[1]).toMatchObject({ kind: 'loading', device: 'cpu' });
  });

  it('the first device that opens is used', () => {
    expect(open(on('cpu'), on('cuda-99')).said.map(({ kind }) => kind)).not.toContain('fallback');
  });

  it('the reason of the last one is thrown if none opens', () => {
    expect(refusal(on('cuda-98'), on('cuda-99'))).toMatchObject({ device: 'cuda-99' });
  });

  it('a single device has no fallback', () => {
    const { device, reason } = refusal(on('cuda-99'));
    expect([device, reason.code]).toEqual(['cuda-99', expect.stringMatching(MISSING)]);
  });
});

describe('a fault of the model', () => {
  it('is reported at once, and no other device is tried', () => {
    const said: string[] = [];
    const broken = join(folder, 'broken.onnx');
    writeFileSync(broken, readFileSync(modelFile).subarray(0, 100_000));
    const candidates = [on('cpu', broken), on('cuda-99')];
    const { device, reason } = refused(() => Engine.open({ ...options, candidates }, ({ kind }) => said.push(kind)));
    expect(device).toBeUndefined();
    expect(reason).toEqual({ code: 'runtime', message: expect.stringMatching(/protobuf parsing failed/i) });
    expect(said).not.toContain('fallback');
  });
});

describe('while a model is opened', () => {
  it('the engine reports its memory plan, and the bytes read at 0, 25, 50, 75 and 100 %', () => {
    const { said } = open(on('cpu'));
    expect(said.map(({ kind }) => kind)).toEqual(['loading', 'memory', ...new Array(5).fill('progress')]);
    const read = said.flatMap((message) => (message.kind === 'progress' ? [message.read / message.total] : []));
    expect([read[0], read[4]]).toEqual([0, 1]);
    for (const [quarter, part] of read.entries()) expect(part).toBeGreaterThanOrEqual(quarter / 4);
  });

  it('the runtime names a missing file', () => {
    expect(() => open(on('cpu', join(folder, 'absent.onnx')))).toThrow(/absent\.onnx/);
  });

  it('a model that does not fit is refused before it is loaded, with the plan and a suggestion', () => {
    const said: string[] = [];
    const large = { ...options, slots: 200, context: 1_000_000_000, cacheMemory: 2 ** 45 };
    expect(refused(() => Engine.open(large, ({ kind }) => said.push(kind)))).toMatchObject({
      device: 'cpu',
      reason: {
        code: 'does_not_fit',
        plan: { slots: 200, context: 1_000_000_000, total: expect.any(Number), free: expect.any(Number) },
        suggestion: { cacheMemory: expect.any(Number) },
      },
    });
    expect(said).toEqual(['loading']);
  });
});

describe('the reason of a message of the runtime', () => {
  it.each<[string, Reason]>([
    [
      'Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file: No such file or directory',
      { code: 'library_missing', library: 'libcudnn.so.9' },
    ],
    [
      'Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file or directory',
      { code: 'library_missing', library: 'libcublasLt.so.12' },
    ],
    [
      'adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters',
      { code: 'no_adapter' },
    ],
    ['CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version', { code: 'driver_too_old' }],
    ['CUDA failure 2: out of memory ; GPU=0', { code: 'out_of_memory' }],
    ['CUDA failure 100: no CUDA-capable device is detected', { code: 'no_cuda_device' }],
    ['Program requires f16 but the device does not support it', { code: 'no_half_floats' }],
    ['CUDA execution provider is not enabled in this build.', { code: 'provider_not_built' }],
    ['an unknown message', { code: 'runtime', message: 'an unknown message' }],
  ])('%s', (message, reason) => {
    expect(causeOf(message)).toEqual(reason);
  });
});

describe('the registry', () => {
  it('has a device of each kind under its name', () => {
    for (const name of ['cpu', 'cuda-0', 'cuda-7', 'webgpu', 'coreml'] as const)
      expect(deviceNamed(name).name).toBe(name);
  });
});

describe('the probe', () => {
  it('reports every kind in the order of auto, and the requested devices, once each', () => {
    const { devices } = probeDevices(runtimeLibrary, ['cuda-42', 'cpu']);
    const names = devices.map(({ name }) => name);
    expect([...new Set(names.map(kindOf))]).toEqual(DEVICE_KINDS);
    expect(names).toContain('cuda-42');
    expect(names.filter((name) => name === 'cpu')).toHaveLength(1);
  });

  it('reports the obstacles as reasons', () => {
    const { devices } = probeDevices(runtimeLibrary, ['cuda-42']);
    const missing = devices.find(({ name }) => name === 'cuda-42');
    expect(missing?.obstacle?.code).toMatch(MISSING);
    expect(devices.at(-1)).toEqual({ name: 'cpu' });
  });
});
