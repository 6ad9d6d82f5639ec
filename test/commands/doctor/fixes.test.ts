/** The fix for each reason, with reasons as the engine derives them from messages of ONNX Runtime. */
import { describe, expect, test } from 'vitest';
import { fixFor, fixForRuntime } from '../../../src/commands/doctor/fixes.ts';
import type { HostInfo } from '../../../src/commands/doctor/host-info.ts';
import { causeOf } from '../../../src/engine/ort/error-causes.ts';
import type { Reason } from '../../../src/protocol/reasons.ts';

const host: HostInfo = {
  platform: 'linux x64',
  distribution: 'debian',
  nvidiaCard: false,
  npmRun: 'npm run',
  library: undefined,
};
const withCard: HostInfo = { ...host, nvidiaCard: true };
const missing = (library: string): Reason =>
  causeOf(
    `Failed to load library libonnxruntime_providers_cuda.so with error: ${library}: cannot open shared object file`,
  );
const commandFor = (reason: Reason, where = host): string | undefined => fixFor(reason, where)?.command;

describe('the CUDA provider is downloaded', () => {
  const reason: Reason = { code: 'provider_missing' };

  test('by the script of a checkout', () => expect(commandFor(reason)).toBe('npm run install:cuda'));

  test('by the same script of an installed package', () => {
    const npmRun = 'npm explore rbees-workerd -- npm run';
    expect(commandFor(reason, { ...host, npmRun })).toBe('npm explore rbees-workerd -- npm run install:cuda');
  });

  test('by the operator, beside a library of --runtime-library', () => {
    const fix = fixFor(reason, { ...host, library: '/opt/ort/libonnxruntime.so' });
    expect(fix?.words).toContain('must be in the folder of /opt/ort/libonnxruntime.so');
    expect(fix?.command).toBeUndefined();
  });

  test('but not for a platform without a build of it', () => {
    expect(commandFor(reason, { ...host, platform: 'linux arm64' })).toContain('--runtime-library');
  });
});

describe("CUDA's libraries", () => {
  test.each([
    ['libcudnn.so.9', 'libcudnn9-cuda-12'],
    ['libcublasLt.so.12', 'cuda-libraries-12-9'],
    ['libcufft.so.11', 'cuda-libraries-12-9'],
    ['libcurand.so.10', 'cuda-libraries-12-9'],
    ['libcudart.so.13', 'cuda-libraries-13-0'],
    ['libcufft.so.12', 'cuda-libraries-13-0'],
  ])('%s is in %s', (library, name) => {
    expect(commandFor(missing(library), withCard)).toBe(`sudo apt-get install ${name}`);
  });

  test('unknown libraries have no fix', () => expect(commandFor(missing('libmystery.so.1'))).toBeUndefined());
});

describe('an NVIDIA driver', () => {
  const reason: Reason = { code: 'no_driver' };

  test('is suggested only for a machine with an NVIDIA card', () => {
    expect(fixFor(reason, host)).toBeUndefined();
    expect(commandFor(reason, withCard)).toBe('sudo apt-get install nvidia-driver');
    expect(commandFor(reason, { ...withCard, distribution: 'ubuntu' })).toBe('sudo ubuntu-drivers install');
    expect(fixFor(reason, { ...withCard, distribution: 'fedora' })?.words).toContain('--gpus all');
  });

  test('is replaced if it is too old', () => {
    const tooOld = causeOf('CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version');
    expect(commandFor(tooOld, withCard)).toBe('sudo apt-get install nvidia-driver');
  });

  test('without a GPU for this process: the command lists the cards', () => {
    expect(commandFor({ code: 'no_gpu_for_process' })).toBe('nvidia-smi');
  });

  test('with fewer cards: the flag of the last card is suggested', () => {
    expect(commandFor({ code: 'index_out_of_range', highest: 'cuda-3' })).toBe('--device cuda:3');
  });
});

describe('Vulkan', () => {
  test('needs the loader and drivers', () => {
    const command = 'sudo apt-get install libvulkan1 mesa-vulkan-drivers';
    expect(commandFor({ code: 'no_vulkan_loader' })).toBe(command);
  });

  test("needs Mesa's drivers, or NVIDIA's", () => {
    for (const reason of [causeOf('Failed to get a WebGPU adapter'), { code: 'no_vulkan_device' } as const]) {
      expect(commandFor(reason)).toBe('sudo apt-get install mesa-vulkan-drivers');
      expect(commandFor(reason, withCard)).toBe('sudo apt-get install nvidia-vulkan-icd');
      expect(fixFor(reason, { ...withCard, distribution: 'ubuntu' })?.words).toContain(
        'NVIDIA_DRIVER_CAPABILITIES=all',
      );
    }
  });

  test('is not suggested on a system without Vulkan', () => {
    expect(fixFor(causeOf('Failed to get a WebGPU adapter'), { ...host, platform: 'darwin arm64' })).toBeUndefined();
  });

  test('has no fix for a software renderer without a card', () => {
    expect(fixFor({ code: 'software_renderer', name: 'llvmpipe' }, host)).toBeUndefined();
    expect(commandFor({ code: 'software_renderer', name: 'llvmpipe' }, withCard)).toContain('nvidia-vulkan-icd');
  });
});

test('memory of the cache that is too small is fixed by more of it', () => {
  const sizes = { cacheMemory: 2 ** 20, tokens: 22, least: 256, leastMemory: 12 * 2 ** 20 };
  expect(commandFor({ code: 'cache_too_small', ...sizes })).toBe('--cache-memory 12');
});

test('a refusal because of the weights is fixed by --dtype', () => {
  const sizes = { weights: 2, cache: 2, budget: 2, logits: 2, work: 2, total: 8, free: 1 };
  const plan = { slots: 1, rows: 49, context: 16, ...sizes };
  const reasons = [
    causeOf('Program requires f16 but the device does not support it'),
    causeOf('CUDA out of memory'),
    { code: 'does_not_fit', device: 'cpu', plan } as const,
  ];
  expect(reasons.map((reason) => commandFor(reason))).toEqual(['--dtype q4', '--dtype q4', '--dtype q4']);
});

test('a device that computes wrong, or ignores a part of the model, is replaced by the CPU', () => {
  const wrong: Reason = { code: 'computes_wrong', difference: 1.05, comparedWith: 'cpu' };
  const ignores: Reason = {
    code: 'operator_ignores',
    operator: 'GroupQueryAttention',
    attribute: 'softcap',
    value: 50,
  };
  const reasons: Reason[] = [wrong, ignores, { code: 'no_experts' }];
  expect(new Set(reasons.map((reason) => commandFor(reason)))).toEqual(new Set(['--device cpu']));
  expect(fixFor(wrong, host)?.words).toContain('driver');
  expect(fixFor(ignores, host)?.words).toContain('GroupQueryAttention of this device ignores softcap');
});

test('a library without the provider is replaced', () => {
  const reason = causeOf('CUDA execution provider is not enabled in this build.');
  expect(commandFor(reason)).toBe('--runtime-library <libonnxruntime>');
});

test('missing hardware, defects and unknown errors have no fix', () => {
  const reasons: Reason[] = [
    { code: 'wrong_platform', needs: 'macOS' },
    { code: 'driver_fault', fault: 803 },
    { code: 'runtime', message: 'CUDA out of memory' },
  ];
  expect(reasons.map((reason) => fixFor(reason, withCard))).toEqual(reasons.map(() => undefined));
});

test('a missing library of the runtime is fixed by an installation of its package', () => {
  expect(fixForRuntime(host).command).toBe('npm ci');
  expect(fixForRuntime({ ...host, npmRun: 'npm explore rbees-workerd -- npm run' }).command).toBe(
    'npm install onnxruntime-node',
  );
});
