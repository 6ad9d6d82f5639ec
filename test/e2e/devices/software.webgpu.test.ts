/** A worker and the doctor on WebGPU, with Vulkan in software. */
import { cpSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Report } from '../../../src/commands/doctor/report.ts';
import { embeddedModel } from '../../../src/model/folder.ts';
import { attribute, copyWithAttribute } from '../../onnx/with-attribute.ts';
import { runCli } from '../../support/cli.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { startWorker, textOf } from '../../support/worker.ts';
import { GREEDY, textOnCpu } from './greedy.ts';

/**
 * SwiftShader compiles a shader for every operator and shape that is new to it; the doctor gives up after
 * four minutes.
 */
const TIMEOUT_MS = 600_000;

describe.runIf(softwareVulkan)('on WebGPU in software', { timeout: TIMEOUT_MS }, () => {
  test('the embedded model gives the text of the CPU', async () => {
    const worker = await startWorker({ args: ['--device', 'webgpu', '--slots', '1'], env: { ...softwareVulkan } });
    try {
      const health = (await (await worker.get('/health')).json()) as { device: string; vram_bytes: number };
      expect(health.device).toBe('webgpu');
      const warm = await worker.line('warmup.done');
      expect(warm['cpu_difference_percent']).toBeLessThan(1);
      expect(warm['cpu_check_ms']).toBeGreaterThan(0);
      expect(health.vram_bytes).toBeGreaterThan(1e6);
      expect(textOf(await worker.execute({ job_id: 'webgpu', ...GREEDY }))).toBe(await textOnCpu());
    } finally {
      await worker.kill();
    }
  });

  test('a model whose attention it does not compute is refused with the devices that do', async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'softcap-')));
    cpSync(embeddedModel(), folder, { recursive: true });
    const file = join(folder, 'onnx', 'model.onnx');
    copyWithAttribute(file, file, 'GroupQueryAttention', attribute('softcap', { float: 50 }));
    const settings = ['--model', folder, '--device', 'webgpu'];
    const worker = await runCli(['--port', '0', ...settings], { env: { ...softwareVulkan } });
    const doctor = await runCli(['doctor', '--json', ...settings], { env: { ...softwareVulkan } });
    rmSync(folder, { recursive: true });
    const refusal =
      'webgpu cannot be used: use --device cpu or cuda: GroupQueryAttention of this device ignores softcap=50 of the model';
    expect([worker.code, worker.stdout]).toEqual([1, expect.stringContaining(refusal)]);
    const report = JSON.parse(doctor.stdout) as Report;
    expect([doctor.code, report.ok]).toEqual([1, false]);
    expect(report.devices.find(({ device }) => device === 'webgpu')).toMatchObject({
      run: { works: false, outcome: 'refused', problem: refusal },
      fix: { words: expect.stringContaining('ignores softcap'), command: '--device cpu' },
    });
  });

  test('the doctor reports that auto skips it, and that it draws the tokens of the CPU', async () => {
    const args = ['doctor', '--json', '--device', 'webgpu'];
    const { code, stdout, stderr } = await runCli(args, { env: { ...softwareVulkan } });
    expect(stderr).toBe('');
    const report = JSON.parse(stdout) as Report;
    const webgpu = report.devices.find(({ device }) => device === 'webgpu');
    expect([code, report.used?.device]).toEqual([0, 'webgpu']);
    expect(report.vulkan).toMatchObject([{ name: expect.stringContaining('SwiftShader'), software: true }]);
    expect(webgpu).toMatchObject({
      auto_obstacle: expect.stringContaining('only a software renderer: '),
      run: { works: true, tokens_as_cpu: 10 },
    });
    expect(webgpu?.run?.vram_bytes).toBeGreaterThan(1e6);
  });
});
