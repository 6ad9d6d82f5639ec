/** From the first line to readiness: the order of events, the answers meanwhile, and failed starts. */
import { statSync } from 'node:fs';
import { cp, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { nextEnginePid, runCli } from '../../support/cli.ts';
import { lastOf } from '../../support/listener.ts';
import { type LogLine, startWorker, TestWorker } from '../../support/worker.ts';

const linesOf = (stdout: string): LogLine[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine);

describe('a successful start', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({ args: ['--worker-id', 'w1', '--host', '127.0.0.1'] });
  });
  afterAll(() => worker.kill());

  test('has its events in the order of the contract', async () => {
    const order = [
      'worker.startup',
      'server.start',
      'server.bound',
      'model.load_started',
      'memory.expected',
      'model.loaded',
      'cache.reserved',
      'warmup.done',
      'page.ready',
      'template.profiled',
    ];
    await worker.line('template.profiled');
    const told = worker.lines.map((line) => line.event).filter((event) => event !== 'model.load_progress');
    expect(told.filter((event) => event !== 'device.cpu')).toEqual(order);
    expect(told).toContain('device.cpu');
    expect(told.indexOf('device.cpu')).toBeLessThan(told.indexOf('model.loaded'));
  });

  test('reports the bytes read of the weights: none, each quarter, all', () => {
    const progress = worker.lines.filter((line) => line.event === 'model.load_progress');
    expect(progress.map((line) => line['percent'])).toEqual([0, 25, 50, 75, 100]);
    expect(progress.map((line) => line['bytes_read'])).toEqual(progress.map(() => expect.any(Number)));
    expect(progress.at(-1)?.['bytes_read']).toBe(progress[0]?.['model_bytes']);
  });

  test('reports the memory of the model before it is loaded', async () => {
    const expected = await worker.line('memory.expected');
    const number = (name: string): number => Number(expected[name]);
    const parts = ['model_bytes', 'cache_bytes', 'logits_bytes', 'work_bytes'].map(number);
    expect(parts.reduce((sum, bytes) => sum + bytes, 0)).toBe(number('needed_bytes'));
    expect(number('model_bytes')).toBe(statSync(join(embeddedModel(), 'onnx', 'model.onnx')).size);
    expect(number('available_bytes')).toBeGreaterThan(number('needed_bytes'));
  });

  test('names actors, actions and targets as the contract does', () => {
    const who = (event: string): unknown[] => {
      const line = worker.lines.find((one) => one.event === event);
      return [line?.['actor'], line?.['action'], line?.['target']];
    };
    const address = worker.url.replace('http://', '');
    expect(who('worker.startup')).toEqual(['rbees-workerd', 'startup', 'w1']);
    expect(who('device.cpu')).toEqual(['device-manager', 'device_init', 'cpu']);
    expect(who('model.load_started')).toEqual(['model-loader', 'model_load', 'haiku']);
    expect(who('model.loaded')).toEqual(['model-loader', 'model_load', 'LlamaForCausalLM']);
    expect(who('server.start')).toEqual(['http-server', 'server_start', '127.0.0.1:0']);
    expect(who('server.bound')).toEqual(['http-server', 'server_bind', address]);
  });

  test('reports the automatic slots, and the memory of the cache with the free memory; drafts are on if they do not change the output', async () => {
    const reserved = await worker.line('cache.reserved');
    const { slots } = (await (await worker.get('/health')).json()) as { slots: { total: number } };
    expect(reserved).toMatchObject({ actor: 'inference-engine', slots: slots.total, context_length: 512 });
    const available = Number(reserved['available_bytes']);
    expect(Number(reserved['cache_bytes'])).toBeLessThanOrEqual(available / 2);
    expect(reserved.human).toContain('auto');
    const warm = await worker.line('warmup.done');
    expect(warm['speculation']).toBe('on');
    expect(warm).not.toHaveProperty('rounding_percent');
  });

  test('reports the free port of port 0 before it is ready', () => {
    expect(new URL(worker.url).port).toMatch(/^[1-9]\d+$/);
  });

  test('ends in health with facts about the model', async () => {
    await worker.line('template.profiled');
    const response = await worker.get('/health');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: 'healthy',
      worker_id: 'w1',
      instance_id: (await worker.line('worker.startup'))['instance_id'],
      pid: worker.process.pid,
      started_at: expect.any(String),
      schema_version: 2,
      model: 'haiku',
      device: 'cpu',
      resident: true,
      vram_bytes: 0,
      memory_bytes: expect.any(Number),
      own_bytes: expect.any(Number),
      shared_bytes: expect.any(Number),
      quant_kind: 'fp32',
      tokenizer_kind: 'bpe',
      vocab_size: 1024,
      context_length: 512,
      uptime_seconds: expect.any(Number),
      slots: { total: expect.any(Number), busy: 0 },
      queue: { length: 0, limit: 64 },
      accepting: true,
      expected_wait_ms: 0,
      queued_prompt_tokens: 0,
      engine_heartbeat_age_ms: expect.any(Number),
      chat_template: { tools: 'generic', parallel: true, reasoning: 'none' },
      capabilities: ['text-gen'],
      protocol: 'sse',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  test('works beside another worker', async () => {
    const other = await startWorker();
    expect(other.url).not.toBe(worker.url);
    await other.kill();
  });
});

test('while the model loads, probes are answered and jobs are refused', async () => {
  const worker = await startWorker({ early: true });
  // The engine process is suspended, so that the load lasts as long as the test needs.
  const engine = await nextEnginePid(worker, -1);
  process.kill(engine, 'SIGSTOP');
  try {
    const [live, ready, health, execute] = await Promise.all([
      worker.get('/live'),
      worker.get('/ready'),
      worker.get('/health'),
      worker.post('/execute', { job_id: 'early', prompt: 'The sea' }),
    ]);
    expect(live.status).toBe(200);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { error: expect.objectContaining({ code: 'LOADING', retriable: true }) },
    ]);
    expect([health.status, await health.json()]).toEqual([
      503,
      expect.objectContaining({ status: 'starting', resident: false, slots: { total: 0, busy: 0 } }),
    ]);
    expect(execute.status).toBe(503);
    expect(execute.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await execute.json()).toMatchObject({ error: { code: 'LOADING', retriable: true } });
    expect(worker.lines.map((line) => line.event)).not.toContain('model.loaded');
    process.kill(engine, 'SIGCONT');
    await worker.line('warmup.done');
    await expect.poll(async () => (await worker.get('/ready')).status).toBe(200);
    expect(lastOf(await worker.execute({ job_id: 'early', prompt: 'The sea', max_tokens: 1 })).type).toBe('end');
  } finally {
    process.kill(engine, 'SIGCONT');
    await worker.kill();
  }
});

describe('a start that fails', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'start-up-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('on a taken port: bind_failed, exit 1, and no model is loaded', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const { code, stdout } = await runCli(['--port', String(port)]);
    server.close();
    expect(code).toBe(1);
    const lines = linesOf(stdout);
    expect(lines.map((line) => line.event)).toEqual(['worker.startup', 'server.start', 'server.bind_failed']);
    expect(lines.at(-1)).toMatchObject({
      level: 'FATAL',
      actor: 'http-server',
      action: 'error',
      target: `127.0.0.1:${port}`,
      error_kind: 'bind_failed',
    });
  });

  async function loadFails(args: string[], reason: RegExp): Promise<void> {
    const { code, stdout } = await runCli(['--port', '0', ...args]);
    expect(code).toBe(1);
    const lines = linesOf(stdout);
    const failed = lines.filter((line) => line.event === 'model.load_failed');
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({ level: 'FATAL', actor: 'model-loader', action: 'error' });
    expect(`${failed[0]?.human} ${failed[0]?.['reason']}`).toMatch(reason);
    expect(lines.map((line) => line.event)).not.toContain('warmup.done');
    expect(lines.at(-1)?.event).toBe('server.shutdown');
  }

  test('without the model folder', async () => {
    await loadFails(['--model', join(folder, 'nothing-here')], /nothing-here does not exist/);
  });

  test('with an empty folder', async () => {
    await loadFails(['--model', folder], /model\.onnx/);
  });

  test('with truncated weights', async () => {
    const broken = join(folder, 'broken');
    await cp(embeddedModel(), broken, { recursive: true });
    await truncate(join(broken, 'onnx', 'model.onnx'), 50_000);
    await loadFails(['--model', broken], /.+/);
  });

  test('with a tokenizer that is not JSON', async () => {
    const broken = join(folder, 'tokenizer');
    await cp(embeddedModel(), broken, { recursive: true });
    await writeFile(join(broken, 'tokenizer.json'), '{"model":');
    await loadFails(['--model', broken], /tokenizer\.json/);
  });

  test('with a context beyond the model', async () => {
    await loadFails(['--context', '100000'], /100000/);
  });

  test('on a missing device', async () => {
    await loadFails(['--device', 'cuda:7'], /.+/);
  });

  test('with a file that is not a runtime library', async () => {
    const library = join(folder, 'libnothing.so');
    await writeFile(library, 'no library');
    await loadFails(['--runtime-library', library], /.+/);
  });

  test('when the engine process dies before it has opened the model', async () => {
    const worker = new TestWorker({});
    try {
      // The first may die before it gets a message, and is replaced; the next dies while it opens the model.
      const exited = worker.exited.then(() => 0);
      for (let pid = -1; pid !== 0; ) {
        pid = await Promise.race([nextEnginePid(worker, pid), exited]);
        if (pid !== 0) process.kill(pid, 'SIGKILL');
      }
      expect((await worker.exited).code).toBe(1);
      expect(worker.lines.filter((line) => line.event === 'model.load_failed')).toHaveLength(1);
    } finally {
      await worker.kill();
    }
  });
});
