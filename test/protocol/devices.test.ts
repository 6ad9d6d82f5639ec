import { describe, expect, it } from 'vitest';
import { chooseDtype, DTYPES, type Dtype } from '../../src/model/dtypes.ts';
import { devicesToTry } from '../../src/protocol/devices.ts';

const machine = (name: string): { platform: string; arch: string } => {
  const [platform = '', arch = ''] = name.split(' ');
  return { platform, arch };
};

describe('the devices to try', () => {
  it.each([
    ['linux x64', ['cuda-0', 'webgpu', 'cpu']],
    ['win32 x64', ['cuda-0', 'webgpu', 'cpu']],
    ['linux arm64', ['webgpu', 'cpu']],
    ['win32 arm64', ['webgpu', 'cpu']],
    ['darwin arm64', ['webgpu', 'coreml', 'cpu']],
    ['darwin x64', ['webgpu', 'coreml', 'cpu']],
  ])('for auto on %s are %j, the fastest first', (name, devices) => {
    expect(devicesToTry('auto', machine(name))).toEqual(devices);
  });

  it('for auto end with the CPU wherever this runs', () => {
    expect(devicesToTry('auto').at(-1)).toBe('cpu');
  });

  it.each([
    ['cpu', 'cpu'],
    ['cuda', 'cuda-0'],
    ['cuda:0', 'cuda-0'],
    ['cuda:1', 'cuda-1'],
    ['cuda:07', 'cuda-7'],
    ['webgpu', 'webgpu'],
    ['coreml', 'coreml'],
  ])('for %s are that one alone, wherever it is asked for', (choice, device) => {
    expect(devicesToTry(choice, machine('linux x64'))).toEqual([device]);
    expect(devicesToTry(choice, machine('darwin arm64'))).toEqual([device]);
  });
});

describe('the dtype for a device', () => {
  const EIGHT = ['q8', 'int8', 'uint8'] as const;
  const GPU: Dtype[] = ['q4f16', 'fp16', 'q4', ...EIGHT, 'bnb4', 'fp32'];
  it.each<[string, Dtype[]]>([
    ['cpu', ['q4', ...EIGHT, 'fp32', 'bnb4', 'q4f16', 'fp16']],
    ['cuda-0', GPU],
    ['cuda-12', GPU],
    ['webgpu', GPU],
    ['coreml', ['fp16', 'fp32', 'q4f16', 'q4', ...EIGHT, 'bnb4']],
  ])('%s is the first there is of %j', (device, order) => {
    expect([...order].sort()).toEqual([...DTYPES].sort());
    const there = new Set(DTYPES);
    for (const dtype of order) {
      expect(chooseDtype(device, 'auto', there)?.dtype).toBe(dtype);
      there.delete(dtype);
    }
    expect(chooseDtype(device, 'auto', there)).toBeUndefined();
  });

  it('comes with the reason in a few words', () => {
    for (const device of ['cpu', 'cuda-0', 'webgpu', 'coreml']) {
      for (const dtype of DTYPES) {
        const other = DTYPES.findLast((one) => chooseDtype(device, 'auto', new Set([dtype, one]))?.dtype === dtype);
        const reason = chooseDtype(device, 'auto', new Set([dtype, other ?? dtype]))?.reason ?? '';
        expect(reason).toMatch(/^\S.{10,60}[^.]$/);
      }
    }
    expect(chooseDtype('cpu', 'auto', new Set(['q4', 'fp32']))?.reason).toBe('4-bit weights, least to read per token');
    expect(chooseDtype('cpu', 'auto', new Set(['q4']))?.reason).toBe('the only weights there are');
    expect(chooseDtype('webgpu', 'auto', new Set(['fp16', 'q4']))?.reason).toBe('half floats are native there');
  });

  it('is what was asked for, or none', () => {
    const there = new Set<Dtype>(['q4', 'q8']);
    expect(chooseDtype('cuda-0', 'q8', there)).toEqual({ dtype: 'q8', reason: 'asked for by --dtype' });
    expect(chooseDtype('cuda-0', 'quantized', there)?.dtype).toBe('q8');
    expect(chooseDtype('cuda-0', 'fp16', there)).toBeUndefined();
  });
});
