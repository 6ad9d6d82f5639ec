/** Options of execution providers for measurements: they reach the runtime, in place of those of the engine. */
import { expect, test } from 'vitest';
import type { Device, MemoryUse } from '../../../src/engine/devices/device.ts';
import { deviceNamed } from '../../../src/engine/devices/registry.ts';
import { withOptions } from '../../../src/engine/devices/with-options.ts';
import { Engine } from '../../../src/engine/engine.ts';
import type { OrtApi } from '../../../src/engine/ort/api.ts';
import { libraryPath } from '../../../src/model/runtime-library.ts';

const USE: MemoryUse = { free: 1000, grows: false };

/** Runs `appendProvider` of a device with an API that records its calls. */
function callsOf(device: Device): (readonly unknown[])[] {
  const calls: (readonly unknown[])[] = [];
  const recorder = (name: string) => (_: unknown, keys: unknown, values: unknown) => {
    calls.push([name, keys, values]);
  };
  const api = {
    createCudaOptions: () => 1n,
    releaseCudaOptions: () => undefined,
    appendCudaProvider: () => undefined,
    updateCudaOptions: recorder('options'),
    addSessionConfigEntry: recorder('entry'),
    appendProvider: (_: unknown, name: string, keys: readonly string[], values: readonly string[]) => {
      calls.push([name, keys, values]);
    },
  };
  device.appendProvider(api as unknown as OrtApi, 2n as never, USE);
  return calls;
}

test('entries of the session and options of CUDA reach the runtime, and replace those of the engine', () => {
  const options = { 'ep.cuda.fpa_intb_gemm': '1', use_tf32: '1', sdpa_kernel: '2' };
  const [entry, call] = callsOf(withOptions(deviceNamed('cuda-0'), options));
  expect(entry).toEqual(['entry', 'ep.cuda.fpa_intb_gemm', '1']);
  const [, keys, values] = call as [string, string[], string[]];
  const given = Object.fromEntries(keys.map((key, index) => [key, values[index]]));
  expect(given).toMatchObject({ use_tf32: '1', sdpa_kernel: '2', device_id: '0', gpu_mem_limit: '1000' });
  expect(keys).not.toContain('ep.cuda.fpa_intb_gemm');
});

test('options of WebGPU reach the runtime', () => {
  const calls = callsOf(withOptions(deviceNamed('webgpu'), { validationMode: 'disabled' }));
  const [, keys, values] = calls.at(-1) as [string, string[], string[]];
  expect(values[keys.indexOf('validationMode')]).toBe('disabled');
});

test('a device without options is the device itself', () => {
  const device = deviceNamed('cpu');
  expect([withOptions(device), withOptions(device, {})]).toEqual([device, device]);
  expect(withOptions(device)).toBe(device);
});

test('an engine opens its session with the options', () => {
  const modelFile = 'test/models/fp32/model.onnx';
  const open = (gpuOptions: Readonly<Record<string, string>>): Engine =>
    Engine.open(
      {
        ...{ runtimeLibrary: libraryPath(), candidates: [{ device: 'cpu', modelFile, weightFiles: [modelFile] }] },
        ...{ names: {}, slots: 1, context: 32, prefillChunk: 'auto', threads: 2, speculation: 'off', gpuOptions },
      },
      () => undefined,
    );
  open({}).close();
  expect(() => open({ 'session.intra_op_thread_affinities': 'none' })).toThrow(/affinit/i);
});
