/**
 * `doctor`: the devices, the one that a worker would use, the fixes, and ten tokens of each device compared
 * with the CPU's.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../../src/commands/doctor/report.ts';
import { runCli } from '../../support/cli.ts';
import { softwareVulkan, WITHOUT_VULKAN } from '../../support/vulkan.ts';

/** `doctor` takes at most four minutes for each device. */
const TIMEOUT_MS = 240_000;
const MODELS = fileURLToPath(new URL('../../models/', import.meta.url));
const NOT_A_LIBRARY = fileURLToPath(new URL('../../../package.json', import.meta.url));

async function examined(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await runCli(['doctor', '--json', ...args], { env });
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as Report;
  return { code, stdout, report, device: (name: string) => report.devices.find(({ device }) => device === name) };
}

/** A machine that seems to have WebGPU. */
const PLAYED = fileURLToPath(new URL('../../support/played-gpu.cjs', import.meta.url));
const played = (how: string) => ({ NODE_OPTIONS: `--require ${PLAYED}`, PLAYED: how });

describe('a machine that can run the model', { timeout: TIMEOUT_MS }, () => {
  test('gets a page with versions, each device, and the device to use with the reason; exit 0', async () => {
    const { code, stdout, stderr } = await runCli(['doctor']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^rbees-workerd \d+\.\d+\.\d+ · Node 2\d\.\S+ · \w+ \w+ · koffi 3\./);
    expect(stdout).toMatch(/^ONNX Runtime 1\.\d+\.\d+, .*onnxruntime/m);
    expect(stdout).toMatch(/^ {2}cpu +works {2}fp32, open in \d+\.\d s, \d+ tokens\/s/m);
    for (const name of ['cuda-0', 'webgpu', 'coreml']) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(stdout).toContain('--device auto would use cpu: the model is under 32 MB');
  });

  test('gets one object for programs, in which the CPU agrees with itself', async () => {
    const { code, report, device } = await examined([]);
    expect([code, report.ok]).toEqual([0, true]);
    expect(report).toMatchObject({
      runtime: { version: expect.stringMatching(/^1\./), library: expect.stringContaining('onnxruntime') },
      model: { name: 'haiku', dtypes: ['fp32'] },
      setting: 'auto',
      used: { device: 'cpu' },
    });
    expect(device('cpu')?.run).toMatchObject({ works: true, outcome: 'ran', tokens: 10, tokens_as_cpu: 10 });
    expect(device('cpu')?.run?.tokens_per_sec).toBeGreaterThan(0);
  });

  test('reports another model with the weights chosen for each device', async () => {
    const { code, report, device } = await examined(['--model', `${MODELS}hub`]);
    expect([code, report.model.name]).toEqual([0, 'hub']);
    expect(report.model.dtypes).toContain('q4f16');
    expect(device('cpu')).toMatchObject({ dtype: 'q4', run: { works: true } });
  });

  test('prints no secret of its environment', async () => {
    const secrets = {
      RBEES_API_TOKEN: 'never-to-be-seen',
      HF_TOKEN: 'hf_neither-this',
      HTTPS_PROXY: 'http://u:p4ss@h',
    };
    const { code, stdout } = await examined([], secrets);
    expect(code).toBe(0);
    for (const secret of ['never-to-be-seen', 'hf_neither-this', 'p4ss']) expect(stdout).not.toContain(secret);
  });
});

describe('a GPU', { timeout: TIMEOUT_MS }, () => {
  test('that generates the tokens of the CPU works, with the weights chosen for it', async () => {
    const { code, report, device } = await examined(['--device', 'webgpu', '--model', `${MODELS}hub`], played('right'));
    expect([code, report.used]).toEqual([0, { device: 'webgpu', reason: 'selected by --device' }]);
    expect(device('webgpu')).toMatchObject({ dtype: 'q4f16', run: { works: true, tokens_as_cpu: 10 } });
  });

  test('that generates other tokens is wrong, and not usable', async () => {
    const { code, report, device } = await examined(['--device', 'webgpu'], played('wrong'));
    expect([code, report.ok]).toEqual([1, false]);
    expect(device('webgpu')?.run).toMatchObject({ works: false, outcome: 'ran', tokens: 10, tokens_as_cpu: 0 });
    const page = await runCli(['doctor', '--device', 'webgpu'], { env: played('wrong') });
    expect(page.code).toBe(1);
    expect(page.stdout).toMatch(/webgpu +WRONG {2}only the first 0 of 10 tokens are those of the CPU/);
    expect(page.stdout).toMatch(/would use webgpu: selected by --device\. It does not work/);
  });

  test.each(['crash', 'refused'])('that fails (%s) is reported, and the next device is tested', async (how) => {
    const { code, report, device } = await examined([], played(how));
    expect([code, report.used?.device]).toEqual([0, 'cpu']);
    expect(device('cpu')?.run?.works).toBe(true);
    expect(device('webgpu')?.run).toMatchObject(
      how === 'crash'
        ? { works: false, outcome: 'lost', problem: expect.stringContaining('signal SIGSEGV') }
        : { works: false, outcome: 'refused', problem: 'coreml cannot be used: available on macOS only' },
    );
  });

  test('whose driver crashes during the search for devices is reported', async () => {
    const { code, report } = await examined([], played('probe-crash'));
    expect(code).toBe(1);
    expect(report.runtime.problem).toBe('the search for devices failed: signal SIGSEGV');
  });

  test('that is missing and selected by name: exit 1, and the reason', async () => {
    const { code, report, device } = await examined(['--device', 'cuda:42']);
    expect([code, report.used?.device]).toEqual([1, 'cuda-42']);
    expect(device('cuda-42')?.obstacle).toMatch(/no NVIDIA driver|the highest is|no GPU for this process/);
  });
});

describe.runIf(softwareVulkan)('WebGPU in software', { timeout: TIMEOUT_MS }, () => {
  test('is skipped by auto, and generates the tokens of the CPU if it is selected by name', async () => {
    const { code, report, device } = await examined(['--device', 'webgpu'], softwareVulkan);
    expect([code, report.used?.device]).toEqual([0, 'webgpu']);
    expect(report.vulkan).toMatchObject([{ name: expect.stringContaining('SwiftShader'), software: true }]);
    expect(device('webgpu')).toMatchObject({
      auto_obstacle: expect.stringContaining('is a software renderer'),
      run: { works: true, tokens_as_cpu: 10 },
    });
    expect(device('webgpu')?.run?.vram_bytes).toBeGreaterThan(1e6);
  });
});

describe.runIf(!softwareVulkan)('WebGPU in software', () => {
  test(WITHOUT_VULKAN, () => expect(softwareVulkan).toBeUndefined());
});

describe('a fault is part of the report', () => {
  test.each([
    ['is another kind of file', NOT_A_LIBRARY],
    ['is missing', '/no/where/libonnxruntime.so'],
  ])('a runtime library that %s: exit 1, its path and a fix', async (_, library) => {
    const { code, report } = await examined(['--runtime-library', library]);
    expect([code, report.ok]).toEqual([1, false]);
    expect(report.runtime.problem).toContain(library);
    expect(report.runtime.fix?.words).toContain('--runtime-library');
    expect(report.devices.map(({ run }) => run).filter(Boolean)).toEqual([]);
  });

  test('a model that cannot be used: exit 1, and its problem', async () => {
    const { code, stdout } = await runCli(['doctor', '--model', MODELS]);
    expect(code).toBe(1);
    expect(stdout).toContain('config.json or genai_config.json is missing');
    expect(stdout).toContain('A worker with these settings cannot start.');
  });

  test.each([[['again']], [['--device', 'abacus']], [['--jsonn']], [['--dtype']]])(
    'except a wrong command line: exit 2 (%j)',
    async (args) => {
      const { code, stdout, stderr } = await runCli(['doctor', ...args]);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^rbees-workerd: /);
    },
  );
});
