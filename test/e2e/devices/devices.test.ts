/**
 * Devices from the operator's view: the devices that auto skips and why, a device selected by name, and a
 * model that does not fit.
 */
import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { DEVICES, type DeviceName, kindOf } from '../../../src/protocol/devices.ts';
import { runCli } from '../../support/cli.ts';
import { softwareVulkan, WITHOUT_VULKAN } from '../../support/vulkan.ts';
import { type LogLine, type StreamEvent, startWorker } from '../../support/worker.ts';

const GREEDY = { prompt: 'Write a haiku about the sea', temperature: 0, max_tokens: 24 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devices-'));
});
afterAll(() => rm(folder, { recursive: true }));

const textOf = (events: readonly StreamEvent[]): string =>
  events.flatMap(({ data }) => (data.type === 'token' ? [String(data['t'])] : [])).join('');

/** The output of the embedded model on the CPU. */
async function outputOnCpu(): Promise<string> {
  const worker = await startWorker({ args: ['--device', 'cpu'] });
  const text = textOf(await worker.execute({ job_id: 'cpu', ...GREEDY }));
  await worker.kill();
  expect(text.length).toBeGreaterThan(20);
  return text;
}

/** The embedded model with an unknown field, which makes it large enough for `auto` to look for a GPU. */
async function largeCopy(): Promise<string> {
  const copy = join(folder, 'large');
  await cp(embeddedModel(), copy, { recursive: true });
  const field = Buffer.from([0xc2, 0x3e, 0x80, 0x80, 0x80, 0x11]); // number 1000, 35 651 584 bytes
  await appendFile(join(copy, 'onnx', 'model.onnx'), Buffer.concat([field, Buffer.alloc(17 * 2 ** 21)]));
  return copy;
}

test('auto skips missing devices, narrates why, and serves on the first that opens', async () => {
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
    expect(textOf(await worker.execute({ job_id: 'auto', ...GREEDY }))).toBe(await outputOnCpu());
  } finally {
    await worker.kill();
  }
});

test('a small model runs on the CPU, where it is faster, and no device is skipped', async () => {
  const worker = await startWorker();
  expect(worker.lines.map(({ event }) => event)).not.toContain('device.fallback');
  expect((await worker.line('device.cpu')).human).toContain('sets up the CPU: the model is small');
  expect(await (await worker.get('/health')).json()).toMatchObject({ device: 'cpu', vram_bytes: 0 });
  await worker.kill();
});

describe('a start is refused', () => {
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

  test('on a missing device selected by name: no other device replaces it', async () => {
    const failed = await refusedWith(['--device', 'cuda:99']);
    expect(failed?.['reason']).toMatch(
      /^cuda-99 cannot be used: (no NVIDIA driver|the NVIDIA driver has no GPU|the highest is)/,
    );
  });

  test('without enough memory: the reason has the sizes and a setting that fits', async () => {
    const wide = join(folder, 'wide');
    await cp(embeddedModel(), wide, { recursive: true });
    for (const [name, field] of [
      ['config.json', 'max_position_embeddings'],
      ['tokenizer_config.json', 'model_max_length'],
    ] as const) {
      const json = JSON.parse(await readFile(join(wide, name), 'utf8')) as object;
      await writeFile(join(wide, name), JSON.stringify({ ...json, [field]: 1_048_576 }));
    }
    const { code, stdout } = await runCli(['--port', '0', '--model', wide, '--slots', '256']);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /The model does not fit cpu: it needs \d+\.\d+ GB \(weights 3\.5 MB, cache \d+\.\d+ GB \(256 slots of 1048576 tokens\), logits .*?\), and .*? are free\. --slots \d+ would fit/,
    );
    expect(stdout).not.toContain('model.load_progress');
  });
});

describe.runIf(softwareVulkan)('on WebGPU in software', () => {
  test('the embedded model generates the output of the CPU', { timeout: 120_000 }, async () => {
    const worker = await startWorker({ args: ['--device', 'webgpu', '--slots', '1'], env: { ...softwareVulkan } });
    try {
      const health = (await (await worker.get('/health')).json()) as { device: string; vram_bytes: number };
      expect(health.device).toBe('webgpu');
      expect(health.vram_bytes).toBeGreaterThan(1e6);
      expect(textOf(await worker.execute({ job_id: 'webgpu', ...GREEDY }))).toBe(await outputOnCpu());
    } finally {
      await worker.kill();
    }
  });
});

describe.runIf(!softwareVulkan)('on WebGPU in software', () => {
  test(WITHOUT_VULKAN, () => expect(softwareVulkan).toBeUndefined());
});
