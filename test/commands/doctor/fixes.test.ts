/** What is said to do about a device: for the reasons as the engine really says them. */
import { describe, expect, test } from 'vitest';
import { fixFor, fixForRuntime } from '../../../src/commands/doctor/fixes.ts';
import type { HostInfo } from '../../../src/commands/doctor/host-info.ts';
import { deviceNamed } from '../../../src/engine/devices/device.ts';
import { causeOf } from '../../../src/engine/ort/error-causes.ts';

const place: HostInfo = {
  platform: 'linux x64',
  distribution: 'debian',
  nvidiaCard: false,
  npmRun: 'npm run',
  library: undefined,
};
const withCard: HostInfo = { ...place, nvidiaCard: true };
const missing = (library: string): string =>
  causeOf(
    `Failed to load library libonnxruntime_providers_cuda.so with error: ${library}: cannot open shared object file`,
  );
const commandFor = (reason: string, where = place): string | undefined => fixFor(reason, where)?.command;

describe('the CUDA provider is fetched', () => {
  const reason = 'CUDA provider not installed: run npm run install:cuda';

  test('by the script of a checkout', () => expect(commandFor(reason)).toBe('npm run install:cuda'));

  test('by the same script of an installed package', () => {
    const npmRun = 'npm explore rbees-workerd -- npm run';
    expect(commandFor(reason, { ...place, npmRun })).toBe('npm explore rbees-workerd -- npm run install:cuda');
  });

  test('by hand, beside a library of the operator’s own', () => {
    const remedy = fixFor(reason, { ...place, library: '/opt/ort/libonnxruntime.so' });
    expect(remedy?.words).toContain('must lie beside /opt/ort/libonnxruntime.so');
    expect(remedy?.command).toBeUndefined();
  });

  test('nowhere for platforms that it is not made for', () => {
    expect(commandFor(reason, { ...place, platform: 'linux arm64' })).toContain('--runtime-library');
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

  test('others are not guessed at', () => expect(commandFor(missing('libmystery.so.1'))).toBeUndefined());
});

describe('an NVIDIA driver', () => {
  test('is only asked for where there is such a card', () => {
    expect(fixFor('no NVIDIA driver', place)).toBeUndefined();
    expect(commandFor('no NVIDIA driver', withCard)).toBe('sudo apt-get install nvidia-driver');
    expect(commandFor('no NVIDIA driver', { ...withCard, distribution: 'ubuntu' })).toBe('sudo ubuntu-drivers install');
    expect(fixFor('no NVIDIA driver', { ...withCard, distribution: 'fedora' })?.words).toContain('--gpus all');
  });

  test('that is too old is replaced', () => {
    const reason = causeOf('CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version');
    expect(commandFor(reason, withCard)).toBe('sudo apt-get install nvidia-driver');
  });
});

describe('Vulkan', () => {
  test('needs its loader and drivers', () => {
    const command = 'sudo apt-get install libvulkan1 mesa-vulkan-drivers';
    expect(commandFor('no Vulkan (libvulkan.so.1 not found)')).toBe(command);
  });

  test("needs Mesa's drivers, or NVIDIA's", () => {
    const reason = causeOf('Failed to get a WebGPU adapter');
    expect(commandFor(reason)).toBe('sudo apt-get install mesa-vulkan-drivers');
    expect(commandFor(reason, withCard)).toBe('sudo apt-get install nvidia-vulkan-icd');
    expect(fixFor(reason, { ...withCard, distribution: 'ubuntu' })?.words).toContain('NVIDIA_DRIVER_CAPABILITIES=all');
  });

  test('in software is all there is, where there is no card', () => {
    expect(fixFor('llvmpipe is a renderer in software', place)).toBeUndefined();
  });
});

test('what a worker refuses for its weights is answered with a flag of its own', () => {
  expect(commandFor(causeOf('Program requires f16 but the device does not support it'))).toBe('--dtype q4');
  expect(commandFor(causeOf('CUDA out of memory'))).toBe('--dtype q4');
});

test('reasons of every device that is not here are known, or nothing can be done about them', () => {
  const reasons = ['cuda-0', 'cuda-42', 'webgpu', 'coreml'].map(
    (name) => deviceNamed(name).obstacle('', false)?.reason,
  );
  for (const reason of reasons.filter((one) => one !== undefined))
    expect([reason, fixFor(reason, withCard)?.words ?? (/macOS/.test(reason) ? 'none' : '')]).not.toContain('');
});

test('the runtime’s library comes with the packages', () => {
  expect(fixForRuntime(place).command).toBe('npm ci');
  expect(fixForRuntime({ ...place, npmRun: 'npm explore rbees-workerd -- npm run' }).command).toBe(
    'npm install onnxruntime-node',
  );
});
