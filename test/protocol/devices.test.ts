/**
 * The table of devices: values of `--device`, the order of `auto`, and the dtypes that each device prefers.
 */
import { describe, expect, it } from 'vitest';
import { chooseDtype, ONNX_DTYPES, type OnnxDtype } from '../../src/model/dtypes.ts';
import { CATALOGUE } from '../../src/narration/catalogue/catalogue.ts';
import {
  CPU,
  DEVICE_FLAG,
  DEVICE_FLAG_HELP,
  DEVICE_KINDS,
  DEVICES,
  type DeviceName,
  deviceName,
  deviceOf,
  devicesToTry,
  flagFor,
  indexOf,
  isCpu,
  kindOf,
} from '../../src/protocol/devices.ts';

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
  ])('for auto on %s are %j, fastest first', (name, devices) => {
    expect(devicesToTry('auto', machine(name))).toEqual(devices);
  });

  it('for auto end with the CPU on this machine too', () => {
    expect(devicesToTry('auto').at(-1)).toBe(CPU);
  });

  it.each([
    ['cpu', 'cpu'],
    ['cuda', 'cuda-0'],
    ['cuda:0', 'cuda-0'],
    ['cuda:1', 'cuda-1'],
    ['cuda:07', 'cuda-7'],
    ['webgpu', 'webgpu'],
    ['coreml', 'coreml'],
  ])('for %s are that device alone, on every machine', (choice, device) => {
    expect(devicesToTry(choice, machine('linux x64'))).toEqual([device]);
    expect(devicesToTry(choice, machine('darwin arm64'))).toEqual([device]);
    expect(choice).toMatch(DEVICE_FLAG);
  });

  it('have no fixed name for auto; an unknown value throws', () => {
    expect(deviceOf('auto')).toBeUndefined();
    expect(() => deviceOf('abacus')).toThrow(`Unknown device abacus; known: ${DEVICE_FLAG_HELP}`);
  });
});

describe('a value of --device', () => {
  it('is one of the values in the help text', () => {
    expect(DEVICE_FLAG_HELP).toBe('auto, cpu, cuda, cuda:1, webgpu, coreml');
    for (const value of [...DEVICE_FLAG_HELP.split(', '), 'cuda:99']) expect(value).toMatch(DEVICE_FLAG);
  });

  it.each(['', 'abacus', 'cuda:', 'cuda:100', 'cuda-0', 'cpu:0', 'CPU', 'auto, cpu', 'xcpu', 'cpux'])(
    'is not %j',
    (value) => expect(value).not.toMatch(DEVICE_FLAG),
  );

  it('exists for every device', () => {
    expect([flagFor('cuda-12'), flagFor('webgpu')]).toEqual(['cuda:12', 'webgpu']);
  });
});

describe('the name of a device', () => {
  it('contains a kind, and an index if the kind is numbered', () => {
    for (const kind of DEVICE_KINDS) {
      const name = deviceName(kind, 3);
      expect([kindOf(name), indexOf(name)]).toEqual([kind, DEVICES[kind].numbered ? 3 : 0]);
    }
  });

  it('is refused if its kind is unknown', () => {
    expect(() => kindOf('abacus' as string as DeviceName)).toThrow('Unknown device abacus; known: cpu, cuda');
    expect(() => kindOf('constructor' as string as DeviceName)).toThrow('Unknown device constructor');
  });

  it('is that of the CPU for one device only', () => {
    expect(DEVICE_KINDS.map((kind) => deviceName(kind)).filter(isCpu)).toEqual(['cpu']);
  });
});

it('every device has an event of the catalogue, and a different rank', () => {
  for (const kind of DEVICE_KINDS) expect(Object.keys(CATALOGUE)).toContain(DEVICES[kind].event);
  expect(new Set(DEVICE_KINDS.map((kind) => DEVICES[kind].autoRank)).size).toBe(DEVICE_KINDS.length);
});

describe('the dtype for a device', () => {
  const EIGHT = ['q8', 'int8', 'uint8'] as const;
  const GPU: OnnxDtype[] = ['q4f16', 'fp16', 'q4', ...EIGHT, 'bnb4', 'fp32'];
  it.each<[DeviceName, OnnxDtype[]]>([
    ['cpu', ['q4', ...EIGHT, 'fp32', 'bnb4', 'q4f16', 'fp16']],
    ['cuda-0', GPU],
    ['cuda-12', GPU],
    ['webgpu', GPU],
    ['coreml', ['fp16', 'fp32', 'q4f16', 'q4', ...EIGHT, 'bnb4']],
  ])('%s is the first available of %j', (device, order) => {
    expect([...order].sort()).toEqual([...ONNX_DTYPES].sort());
    const available = new Set(ONNX_DTYPES);
    for (const dtype of order) {
      expect(chooseDtype(device, 'auto', available)?.dtype).toBe(dtype);
      available.delete(dtype);
    }
    expect(chooseDtype(device, 'auto', available)).toBeUndefined();
  });

  it('comes with a short reason', () => {
    for (const device of DEVICE_KINDS.map((kind) => deviceName(kind))) {
      for (const dtype of ONNX_DTYPES) {
        const other = ONNX_DTYPES.findLast(
          (one) => chooseDtype(device, 'auto', new Set([dtype, one]))?.dtype === dtype,
        );
        const reason = chooseDtype(device, 'auto', new Set([dtype, other ?? dtype]))?.reason ?? '';
        expect(reason).toMatch(/^\S.{10,60}[^.]$/);
      }
    }
    expect(chooseDtype('cpu', 'auto', new Set(['q4', 'fp32']))?.reason).toBe('4-bit weights, least to read per token');
    expect(chooseDtype('cpu', 'auto', new Set(['q4']))?.reason).toBe('the only weights available');
    expect(chooseDtype('webgpu', 'auto', new Set(['fp16', 'q4']))?.reason).toBe(
      'half floats are native on this device',
    );
  });

  it('is the dtype of --dtype, or none', () => {
    const available = new Set<OnnxDtype>(['q4', 'q8']);
    expect(chooseDtype('cuda-0', 'q8', available)).toEqual({ dtype: 'q8', reason: 'selected by --dtype' });
    expect(chooseDtype('cuda-0', 'quantized', available)?.dtype).toBe('q8');
    expect(chooseDtype('cuda-0', 'fp16', available)).toBeUndefined();
  });
});
