/**
 * `doctor`: lists devices and problems, names the device to use, and compares ten tokens on each device with
 * the CPU's.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { quantizedModel, writeModel } from '../../engine/quantized/quantized-model.ts';
import { runCli } from '../../support/cli.ts';
import { examined, MODELS, played } from './examined.ts';

const NOT_A_LIBRARY = fileURLToPath(new URL('../../../package.json', import.meta.url));

describe('a machine that can run the model', () => {
  test('gets one page with versions, each device, and the device to use with the reason; exit 0', async () => {
    const { code, stdout, stderr } = await runCli(['doctor']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^rbees-workerd \d+\.\d+\.\d+ · Node 2\d\.\S+ · \w+ \w+ · koffi 3\./);
    expect(stdout).toMatch(/^ONNX Runtime 1\.\d+\.\d+, .*onnxruntime/m);
    expect(stdout).toMatch(/^ {2}cpu +works {2}fp32, open in \d+\.\d s, \d+ tokens\/s/m);
    for (const name of ['cuda-0', 'webgpu', 'coreml']) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(stdout).toMatch(/^Threads on the CPU: 1 \(the model is under 32 MB\); a larger model gets \d+ \(/m);
    expect(stdout).toContain('--device auto would use cpu: the model is under 32 MB');
  });

  test('gets one JSON object with --json, in which the ten tokens of the CPU equal themselves', async () => {
    const { code, report, device } = await examined([]);
    expect([code, report.ok]).toEqual([0, true]);
    expect(report).toMatchObject({
      runtime: { version: expect.stringMatching(/^1\./), library: expect.stringContaining('onnxruntime') },
      model: { name: 'haiku', dtypes: ['fp32'] },
      threads: { used: { count: 1, reason: 'small_model' }, auto: { count: expect.any(Number) } },
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

  test('runs a GGUF file without a folder of shared weights', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
    const model = writeModel(folder, quantizedModel({ name: 'llama-2', formats: { others: 'q4_0' } }));
    const { code, device } = await examined(['--model', model, '--device', 'cpu', '--weights-cache', 'off']);
    rmSync(folder, { recursive: true });
    expect([code, device('cpu')?.run]).toMatchObject([0, { works: true, tokens: 10 }]);
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

  test('that is asked for and missing: exit 1, and the reason', async () => {
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

  test.each([[['again']], [['--device', 'abacus']]])('a wrong command line: exit 2 (%j)', async (args) => {
    const { code, stdout, stderr } = await runCli(['doctor', ...args]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^rbees-workerd: /);
  });
});
