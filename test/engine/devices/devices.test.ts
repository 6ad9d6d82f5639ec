import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { deviceNamed } from '../../../src/engine/devices/device.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { causeOf } from '../../../src/engine/ort/error-causes.ts';
import type { Candidate, LoadEvent } from '../../../src/protocol/loading.ts';
import { modelFile, options } from '../harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'devices-'));
afterAll(() => rmSync(folder, { recursive: true }));

const on = (device: string, file = modelFile): Candidate => ({ device, modelFile: file, weightFiles: [file] });

/** Opens and closes; what was said meanwhile. */
function open(...candidates: Candidate[]): { said: LoadEvent[]; device: string } {
  const said: LoadEvent[] = [];
  const engine = Engine.open({ ...options, candidates }, (message) => {
    if (message.kind !== 'report') said.push(message);
  });
  const { device } = engine.facts;
  engine.close();
  return { said, device };
}

describe('devices that are tried in their order', () => {
  it('are passed over with the reason, until one opens', () => {
    // No machine has a hundred cards: there is no driver, no GPU, or no such one.
    const { said, device } = open(on('cuda-99'), on('cpu'));
    expect(device).toBe('cpu');
    expect(said[0]).toEqual({
      kind: 'fallback',
      device: 'cuda-99',
      next: 'cpu',
      reason: expect.stringMatching(
        /^cuda-99 cannot be used: (no NVIDIA driver|the NVIDIA driver has no GPU|the highest is cuda-\d+)/,
      ),
      present: false,
    });
    expect(said[1]).toMatchObject({ kind: 'loading', device: 'cpu' });
  });

  it('are not passed over for a later one where the first opens', () => {
    expect(open(on('cpu'), on('cuda-99')).said.map(({ kind }) => kind)).not.toContain('fallback');
  });

  it('end with the reason of the last', () => {
    expect(() => open(on('cuda-98'), on('cuda-99'))).toThrow('cuda-99 cannot be used');
  });

  it('one that was asked for by name is not replaced', () => {
    expect(() => open(on('cuda-99'))).toThrow('cuda-99 cannot be used');
  });
});

describe('what is wrong with the model, wherever it runs', () => {
  it('is told at once, and no other device is tried', () => {
    const said: string[] = [];
    const broken = join(folder, 'broken.onnx');
    writeFileSync(broken, readFileSync(modelFile).subarray(0, 100_000));
    const candidates = [on('cpu', broken), on('cuda-99')];
    expect(() => Engine.open({ ...options, candidates }, ({ kind }) => said.push(kind))).toThrow(
      /protobuf parsing failed/i,
    );
    expect(said).not.toContain('fallback');
  });
});

describe('while a model is opened', () => {
  it('it is told what it needs, and how much has been read: none, each quarter, all', () => {
    const { said } = open(on('cpu'));
    expect(said.map(({ kind }) => kind)).toEqual(['loading', 'memory', ...new Array(5).fill('progress')]);
    const read = said.flatMap((message) => (message.kind === 'progress' ? [message.read / message.total] : []));
    expect([read[0], read[4]]).toEqual([0, 1]);
    for (const [quarter, part] of read.entries()) expect(part).toBeGreaterThanOrEqual(quarter / 4);
  });

  it('a file that is missing is left to the runtime to name', () => {
    expect(() => open(on('cpu', join(folder, 'absent.onnx')))).toThrow(/absent\.onnx/);
  });

  it('a model that does not fit is refused before it is loaded, with the sum', () => {
    expect(() => Engine.open({ ...options, slots: 200, context: 1_000_000_000 }, () => undefined)).toThrow(
      /^The model does not fit cpu: it needs \d+\.\d+ GB: weights 3\.5 MB, cache .* \(200 x 1000000000 tokens\), logits .*; .* are free\. --slots/,
    );
  });
});

describe('a cause in words a person can act on', () => {
  it.each([
    [
      'Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file: No such file or directory',
      'libcudnn.so.9 not found: rbees-workerd doctor names its package',
    ],
    [
      'Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file or directory',
      'libcublasLt.so.12 not found: rbees-workerd doctor names its package',
    ],
    [
      'adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters',
      process.platform === 'linux' ? 'no Vulkan device' : 'no GPU that WebGPU can use',
    ],
    [
      'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
      'the NVIDIA driver is too old for this CUDA provider',
    ],
    ['CUDA failure 2: out of memory ; GPU=0', 'the device has not enough free memory'],
    ['CUDA execution provider is not enabled in this build.', 'this build of ONNX Runtime has no such provider'],
    ['something that nobody has seen', 'something that nobody has seen'],
  ])('%s', (message, cause) => {
    expect(causeOf(message)).toBe(cause);
  });

  it('names the devices there are for one that is unknown', () => {
    expect(() => deviceNamed('cuda-100')).toThrow('cpu, cuda-0 to cuda-99, webgpu, coreml');
  });
});
