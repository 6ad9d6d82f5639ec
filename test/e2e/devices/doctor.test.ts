/**
 * `doctor`: lists devices and problems, names the device to use, and compares ten tokens on each device with
 * the CPU's.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../../src/commands/doctor/report.ts';
import { runCli } from '../../support/cli.ts';

const MODELS = fileURLToPath(new URL('../../models/', import.meta.url));
const NOT_A_LIBRARY = fileURLToPath(new URL('../../../package.json', import.meta.url));

async function examined(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await runCli(['doctor', '--json', ...args], { env });
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as Report;
  return { code, stdout, report, device: (name: string) => report.devices.find(({ device }) => device === name) };
}

/** A machine on which the probe reports WebGPU. */
const PLAYED = fileURLToPath(new URL('../../support/played-gpu.cjs', import.meta.url));
const played = (how: string) => ({ NODE_OPTIONS: `--require ${PLAYED}`, PLAYED: how });

describe('a machine that can run the model', () => {
  test('gets one page with versions, each device, and the device to use with the reason; exit 0', async () => {
    const { code, stdout, stderr } = await runCli(['doctor']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^rbees-workerd \d+\.\d+\.\d+ · Node 2\d\.\S+ · \w+ \w+ · koffi 3\./);
    expect(stdout).toMatch(/^ONNX Runtime 1\.\d+\.\d+, .*onnxruntime/m);
    expect(stdout).toMatch(/^ {2}cpu +works {2}fp32, open in \d+\.\d s, \d+ tokens\/s/m);
    for (const name of ['cuda-0', 'webgpu', 'coreml']) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(stdout).toContain('--device auto would use cpu: the model is under 32 MB');
  });

  test('gets one JSON object with --json, in which the ten tokens of the CPU equal themselves', async () => {
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

  test('reports another model with the weights that suit each device', async () => {
    const { code, report, device } = await examined(['--model', `${MODELS}hub`]);
    expect([code, report.model.name]).toEqual([0, 'hub']);
    expect(report.model.dtypes).toContain('q4f16');
    expect(device('cpu')).toMatchObject({ dtype: 'q4', run: { works: true } });
  });

  test('reports no secret of the environment', async () => {
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

describe('a GPU', () => {
  test('that draws the tokens of the CPU works, with the weights that suit it', async () => {
    const { code, report, device } = await examined(['--device', 'webgpu', '--model', `${MODELS}hub`], played('right'));
    expect([code, report.used]).toEqual([0, { device: 'webgpu', reason: 'selected by --device' }]);
    expect(device('webgpu')).toMatchObject({ dtype: 'q4f16', run: { works: true, tokens_as_cpu: 10 } });
  });

  test('that draws other tokens is wrong, and is not used', async () => {
    const { code, report, device } = await examined(['--device', 'webgpu'], played('wrong'));
    expect([code, report.ok]).toEqual([1, false]);
    expect(device('webgpu')?.run).toMatchObject({ works: false, outcome: 'ran', tokens: 10, tokens_as_cpu: 0 });
    const page = await runCli(['doctor', '--device', 'webgpu'], { env: played('wrong') });
    expect(page.code).toBe(1);
    expect(page.stdout).toMatch(/webgpu +WRONG {2}only the first 0 of 10 tokens are those of the CPU/);
    expect(page.stdout).toMatch(/would use webgpu: selected by --device\. It does not work/);
  });

  test.each(['crash', 'refused'])('that fails (%s) is reported, and the next device is still examined', async (how) => {
    const { code, report, device } = await examined([], played(how));
    expect([code, report.used?.device]).toEqual([0, 'cpu']);
    expect(device('cpu')?.run?.works).toBe(true);
    expect(device('webgpu')?.run).toMatchObject(
      how === 'crash'
        ? { works: false, outcome: 'lost', problem: expect.stringContaining('signal SIGSEGV') }
        : { works: false, outcome: 'refused', problem: 'coreml cannot be used: available on macOS only' },
    );
  });

  test('whose driver crashes in the probe is reported too', async () => {
    const { code, report } = await examined([], played('probe-crash'));
    expect(code).toBe(1);
    expect(report.runtime.problem).toBe('the search for devices failed: signal SIGSEGV');
  });

  test('that is selected by name and missing: exit 1, and the reason', async () => {
    const { code, report, device } = await examined(['--device', 'cuda:42']);
    expect([code, report.used?.device]).toEqual([1, 'cuda-42']);
    expect(device('cuda-42')?.obstacle).toMatch(/no NVIDIA driver|the highest is|no GPU for this process/);
  });
});

describe('a broken part is reported', () => {
  test.each([
    ['is another file', NOT_A_LIBRARY],
    ['is missing', '/no/where/libonnxruntime.so'],
  ])('a runtime library that %s: exit 1, its path and a fix', async (_, library) => {
    const { code, report } = await examined(['--runtime-library', library]);
    expect([code, report.ok]).toEqual([1, false]);
    expect(report.runtime.problem).toContain(library);
    expect(report.runtime.fix?.words).toContain('--runtime-library');
    expect(report.devices.map(({ run }) => run).filter(Boolean)).toEqual([]);
  });

  test('an unusable model: exit 1, and its problem', async () => {
    const { code, stdout } = await runCli(['doctor', '--model', MODELS]);
    expect(code).toBe(1);
    expect(stdout).toContain('config.json or genai_config.json is missing');
    expect(stdout).toContain('A worker with these settings cannot start.');
  });

  test.each([[['again']], [['--device', 'abacus']], [['--jsonn']], [['--dtype']]])(
    'a wrong command line: exit 2 (%j)',
    async (args) => {
      const { code, stdout, stderr } = await runCli(['doctor', ...args]);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^rbees-workerd: /);
    },
  );
});
