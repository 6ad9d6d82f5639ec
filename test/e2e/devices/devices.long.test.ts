/**
 * The choice of a device: what `auto` skips and why, a device selected by name, a model that does not fit.
 */
import { appendFile, cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { DEVICES, type DeviceName, kindOf } from '../../../src/protocol/devices.ts';
import { runCli } from '../../support/cli.ts';
import { makeWideModel } from '../../support/wide-model.ts';
import { type LogLine, startWorker, textOf } from '../../support/worker.ts';
import { GREEDY, textOnCpu } from './greedy.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devices-'));
});
afterAll(() => rm(folder, { recursive: true }));

/**
 * The embedded model, made large enough for `auto` to look for a GPU by a field that no reader of the format
 * knows.
 */
async function largeCopy(): Promise<string> {
  const copy = join(folder, 'large');
  await cp(embeddedModel(), copy, { recursive: true });
  const field = Buffer.from([0xc2, 0x3e, 0x80, 0x80, 0x80, 0x11]); // number 1000, 35 651 584 bytes
  await appendFile(join(copy, 'onnx', 'model.onnx'), Buffer.concat([field, Buffer.alloc(17 * 2 ** 21)]));
  return copy;
}

test('auto skips missing devices, reports the reasons, and serves on the best available device', async () => {
  const worker = await startWorker({ args: ['--model', await largeCopy()] });
  try {
    const passed = worker.lines.filter(({ event }) => event === 'device.fallback');
    const { device } = (await (await worker.get('/health')).json()) as { device: DeviceName };
    if (device === 'cpu' && `${process.platform} ${process.arch}` === 'linux x64')
      expect(passed.map((line) => line['from_device'])).toEqual(['cuda-0', 'webgpu']);
    for (const line of passed) {
      expect(line.human).toContain(`from ${line['from_device']} to ${line['device']}: `);
      expect(line.human).toContain(String(line['reason']).slice(0, 20));
      expect(line['reason']).not.toContain('cannot be used');
      expect(line.level).toBe(line['hardware'] === 'present' ? 'WARN' : 'INFO');
    }
    expect(passed.at(-1)?.['device'] ?? device).toBe(device);
    expect(worker.lines.filter(({ event }) => event.startsWith('device.')).at(-1)?.event).toBe(
      DEVICES[kindOf(device)].event,
    );
    expect(textOf(await worker.execute({ job_id: 'auto', ...GREEDY }))).toBe(await textOnCpu());
  } finally {
    await worker.kill();
  }
});

test('a small model runs on the CPU, which is faster for it, and no device is skipped', async () => {
  const worker = await startWorker();
  expect(worker.lines.map(({ event }) => event)).not.toContain('device.fallback');
  expect((await worker.line('device.cpu')).human).toContain('sets up the CPU: the model is small');
  expect(await (await worker.get('/health')).json()).toMatchObject({ device: 'cpu', vram_bytes: 0 });
  await worker.kill();
});

describe('a start that fails', () => {
  async function refusedWith(args: readonly string[]): Promise<LogLine | undefined> {
    const { code, stdout } = await runCli(['--port', '0', ...args]);
    expect(code).toBe(1);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as LogLine);
    expect(lines.map(({ event }) => event)).not.toContain('device.cpu');
    return lines.find(({ event }) => event === 'model.load_failed');
  }

  test('on a device selected by name does not fall back to another device', async () => {
    const failed = await refusedWith(['--device', 'cuda:99']);
    expect(failed?.['reason']).toMatch(
      /^cuda-99 cannot be used: (no NVIDIA driver|the NVIDIA driver has no GPU|the highest is)/,
    );
  });

  test('for lack of memory reports the sum and a setting that fits', async () => {
    const wide = join(folder, 'wide');
    await makeWideModel(wide, 1_048_576);
    // More memory than the machine has, in MiB.
    const { code, stdout } = await runCli([
      '--port',
      '0',
      '--model',
      wide,
      '--slots',
      '256',
      '--cache-memory',
      '16777216',
    ]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /use --cache-memory \d+: the model needs [\d.]+ [GT]B on cpu \(weights 3\.52 MB, cache [\d.]+ [GT]B.*?, logits .*?\), and .*? are free/,
    );
    expect(stdout).not.toContain('model.load_progress');
  });
});
