/** Workers with captured steps on WebGPU, with Vulkan in software: the loss of the engine, and the narration. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { enginePid } from '../../support/cli.ts';
import { Listener, lastOf, longJob, narrated } from '../../support/listener.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { all, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

/** SwiftShader compiles a shader for every operator and shape that is new to it. */
const TIMEOUT_MS = 600_000;
const CAPTURED = ['--device', 'webgpu', '--gpu-graph', 'captured'];
const TOKENS = { min_tokens: 30, max_tokens: 30 };

const root = realpathSync(mkdtempSync(join(tmpdir(), 'captured-')));
afterAll(() => rmSync(root, { recursive: true }));
const workers: TestWorker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
});

async function start(...args: readonly string[]): Promise<TestWorker> {
  const worker = await startWorker({ args, env: { ...softwareVulkan } });
  workers.push(worker);
  return worker;
}

describe.runIf(softwareVulkan)('captured steps on WebGPU', { timeout: TIMEOUT_MS }, () => {
  test('the engine is killed under four streams: the texts are whole, and the next engine captures again', async () => {
    const worker = await start(...CAPTURED, '--slots', '4');
    expect(await worker.line('warmup.done')).toMatchObject({ gpu_graph: 'captured' });
    const jobs = [0, 1, 2, 3].map((index) => ({ ...TOKENS, seed: index, prompt: `The sea ${index}` }));
    const open = (name: string) =>
      Promise.all(jobs.map((job, index) => Listener.open(worker, longJob(`${name}-${index}`, job))));
    const streams = await open('killed');
    await Promise.all(streams.map((stream) => stream.untilToken(3)));
    const engine = enginePid(worker);
    process.kill(engine, 'SIGKILL');
    const events = await Promise.all(streams.map((stream) => stream.ended));
    for (const one of events) expect(lastOf(one)).toMatchObject({ type: 'end', tokens_out: 30 });
    for (const one of events) expect(narrated(one)).toContain('request.interrupted');
    expect(await worker.line('engine.lost')).toMatchObject({ signal: 'SIGKILL', requests_interrupted: 4 });
    await worker.line('engine.restarted');
    expect(enginePid(worker)).not.toBe(engine);
    // The same texts without an interruption, from the next engine.
    const again = await Promise.all((await open('whole')).map((stream) => stream.ended));
    expect(events.map(textOf)).toEqual(again.map(textOf));
    for (const one of again) expect(narrated(one)).not.toContain('request.interrupted');
    expect(worker.lines.filter(({ event }) => event === 'gpu_graph.limited')).toEqual([]);
  });

  test('a worker with a window reports that its steps are not captured, and serves the reference ids', async () => {
    const folder = join(root, 'qwen2-window');
    const { continuations } = checkpointNamed('qwen2-window');
    writeCheckpoint(folder, checkpointNamed('qwen2-window'));
    const worker = await start(...CAPTURED, '--model', folder, '--context', String(CONTEXT), '--slots', '4');
    expect(await worker.line('gpu_graph.limited')).toMatchObject({
      level: 'WARN',
      device: 'webgpu',
      gpu_graph: 'eager',
      gpu_graph_asked: 'captured',
      reason: 'recorded runs ignore the sliding window',
    });
    expect(await worker.line('warmup.done')).toMatchObject({ gpu_graph: 'eager' });
    const outputs = continuations.map(async ({ prompt, ids }, index) => {
      const asked = { prompt: Buffer.from(prompt).toString(), raw: true, ids: true, temperature: 0 };
      const events = await worker.execute({ job_id: `job-${index}`, ...asked, max_tokens: ids.length });
      return all(events, 'token').flatMap((token) => token['ids'] ?? []);
    });
    expect(await Promise.all(outputs)).toEqual(continuations.map(({ ids }) => ids));
  });

  test('a cache that is too small for all rows is shared: the worker decodes without steps', async () => {
    // 16 rows of 512 tokens of 2 KB take 16 MiB.
    const worker = await start(...CAPTURED, '--slots', '16', '--context', '512', '--cache-memory', '2');
    expect(await worker.line('gpu_graph.limited')).toMatchObject({
      gpu_graph: 'off',
      reason: 'too little memory for all rows; lower --slots',
    });
    expect(await worker.line('warmup.done')).not.toHaveProperty('gpu_graph');
    expect(lastOf(await worker.execute(longJob('small', TOKENS)))).toMatchObject({ type: 'end', tokens_out: 30 });
  });

  test('on the CPU the setting changes and reports nothing', async () => {
    const worker = await start('--device', 'auto', '--gpu-graph', 'captured');
    expect(await worker.line('warmup.done')).not.toHaveProperty('gpu_graph');
    expect((await (await worker.get('/health')).json()) as object).toMatchObject({ device: 'cpu' });
    expect(worker.lines.filter(({ event }) => event.startsWith('gpu_graph'))).toEqual([]);
    expect(lastOf(await worker.execute(longJob('cpu', TOKENS)))).toMatchObject({ type: 'end', tokens_out: 30 });
  });
});
