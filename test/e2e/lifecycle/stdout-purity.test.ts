/**
 * Standard output from start to exit: lines in the form of the contract, in its order, and no word of a
 * prompt.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { Listener, longJob } from '../../support/listener.ts';
import { all, type LogLine, startWorker, type TestWorker, textOf } from '../../support/worker.ts';

const MARKER = 'xyzzyplugh';
const TOKEN = 'a-token-nobody-may-see';
const HEAD = ['timestamp', 'level', 'event', 'actor', 'action', 'target', 'human'];
const REST = ['cute', 'story', 'correlation_id', 'worker_id', 'job_id'];
const OPTIONAL = new Set(['cute', 'story', 'correlation_id', 'job_id']);

describe('a run from start to exit', () => {
  let worker: TestWorker;
  const outputs: string[] = [];

  beforeAll(async () => {
    worker = await startWorker({ args: ['--slots', '1', '--api-token', TOKEN] });
    const auth = { Authorization: `Bearer ${TOKEN}` };
    const said = await worker.execute({ job_id: 'one', prompt: `Tell me of ${MARKER}`, seed: 1, max_tokens: 40 }, auth);
    outputs.push(textOf(said));
    await worker.execute(
      {
        job_id: 'two',
        messages: [{ role: 'user', content: `${MARKER} password=${MARKER}` }],
        stop: [MARKER],
        max_tokens: 9,
      },
      auth,
    );
    await worker.execute({ job_id: 'three', prompt: MARKER, raw: true, max_tokens: 3, top_p: 9 }, auth);
    await worker.post('/execute', `{"prompt":"${MARKER}`, auth);
    await worker.post('/execute', { job_id: 'long', prompt: `${MARKER} `.repeat(2000) }, auth);
    await worker.post('/execute', { job_id: 'type', prompt: { text: MARKER } }, auth);
    await worker.execute(
      { job_id: 'a\u200Bb \u{1F468}\u200D\u{1F33E} \u202Ec', prompt: 'sea', max_tokens: 1, 'odd\nfield\u0007': 1 },
      auth,
    );
    await worker.get(`/nothing?${MARKER}=1`, auth);
    await worker.get('/metrics', auth);
    const left = await Listener.open(worker, longJob('left', { prompt: MARKER }), auth);
    await left.untilToken();
    left.leave();
    const lost = await Listener.open(worker, longJob('lost', { prompt: MARKER }), auth);
    await lost.untilToken();
    process.kill(enginePid(worker), 'SIGKILL');
    await lost.ended;
    await worker.line('engine.restarted');
    while ((await worker.get('/ready')).status !== 200) await sleep(5);
    const last = await Listener.open(worker, longJob('last', { prompt: MARKER }), auth);
    await last.untilToken();
    await worker.stop();
  });
  afterAll(() => worker.kill());

  test('has only lines of JSON', () => {
    expect(worker.foreign).toEqual([]);
    expect(worker.stdout.endsWith('}\n')).toBe(true);
    expect(worker.lines.length).toBeGreaterThan(50);
    for (const line of worker.lines) expect(Object.getPrototypeOf(line)).toBe(Object.prototype);
    // No control, zero-width or direction character except the joiner of an emoji.
    expect(worker.stdout.replaceAll('\n', '')).not.toMatch(
      /[\p{Cc}\u200B\u200E\u200F\u202A-\u202E\u2028\u2029\uFEFF]/u,
    );
    expect(worker.stderr).toBe('');
  });

  test('has the keys of the contract in their order', () => {
    for (const line of worker.lines) {
      const keys = Object.keys(line);
      expect(keys.slice(0, HEAD.length)).toEqual(HEAD);
      const named = REST.filter((key) => !OPTIONAL.has(key) || key in line);
      expect(keys.slice(HEAD.length, HEAD.length + named.length)).toEqual(named);
    }
  });

  test('has values of the contract’s types', () => {
    let before = '';
    for (const line of worker.lines) {
      expect(line['timestamp']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(String(line['timestamp']) >= before).toBe(true);
      before = String(line['timestamp']);
      expect(['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']).toContain(line.level);
      expect(line.event).toMatch(/^[a-z]+(\.[a-z_]+)+$/);
      expect(line.human.length).toBeLessThanOrEqual(100);
      expect(String(line['cute'] ?? '').length).toBeLessThanOrEqual(150);
      if ('cute' in line) expect(line['cute']).toMatch(/\p{Extended_Pictographic}/u);
      for (const value of Object.values(line)) expect(['string', 'number']).toContain(typeof value);
      for (const value of Object.values(line)) if (typeof value === 'number') expect(value).not.toBeNaN();
    }
  });

  test('has no word of a prompt, of the output or of the token', () => {
    expect(worker.stdout).not.toContain(MARKER);
    expect(worker.stdout).not.toContain(TOKEN);
    for (const output of outputs) {
      const verses = output.split('\n').filter((verse) => verse.length > 8);
      expect(verses.length).toBeGreaterThan(0);
      for (const verse of verses) expect(worker.stdout).not.toContain(verse);
    }
  });

  test('has a correlation id on every line with a job id, and the reverse for requests', () => {
    for (const line of worker.lines) if ('job_id' in line) expect(line).toHaveProperty('correlation_id');
  });
});

describe('--log-format pretty', () => {
  test('has one line per event: time, level, worker, sentence', async () => {
    const worker = await pretty();
    expect(worker.stderr).toBe('');
    const lines = worker.stdout.trimEnd().split('\n');
    for (const line of lines)
      expect(line).toMatch(/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\] (INFO|WARN|ERROR) pretty-1: \S.*$/);
    expect(lines.some((line) => line.includes('HTTP server listens on'))).toBe(true);
    expect(lines.at(-1)).toContain('HTTP server stopped (sigterm)');
  });

  async function pretty(): Promise<TestWorker> {
    const { TestWorker: Bare } = await import('../../support/worker.ts');
    const worker = new Bare({ args: ['--log-format', 'pretty', '--worker-id', 'pretty-1'] });
    try {
      await expect.poll(() => worker.stdout).toContain('Engine warmed up');
      await worker.stop();
      return worker;
    } finally {
      await worker.kill();
    }
  }
});

describe('--log-level warn', () => {
  test('prints only warnings and the address, and streams have all narrations', async () => {
    const worker = await quiet();
    expect(worker.lines.map((line: LogLine) => [line.level, line.event])).toEqual([
      ['INFO', 'server.bound'],
      ['WARN', 'fields.ignored'],
    ]);
  });

  async function quiet(): Promise<TestWorker> {
    const { TestWorker: Bare } = await import('../../support/worker.ts');
    const { createServer } = await import('node:net');
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    // No line names the bound port, so the test chooses one.
    const worker = new Bare({ args: ['--log-level', 'warn', '--port', String(port)] });
    const url = `http://127.0.0.1:${port}`;
    try {
      const ready = async (): Promise<number> => (await fetch(`${url}/ready`).catch(() => ({ status: 0 }))).status;
      await expect.poll(ready).toBe(200);
      const response = await fetch(`${url}/execute`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ job_id: 'quiet', prompt: 'The sea', max_tokens: 1, odd: 1 }),
      });
      expect(await response.text()).toContain('"event":"inference.complete"');
      expect(await worker.stop()).toBe(0);
      return worker;
    } finally {
      await worker.kill();
    }
  }
});

test('a closed reader of stdout does not end the worker', async () => {
  const worker = await startWorker();
  try {
    worker.process.stdout?.destroy();
    const events = await worker.execute({ job_id: 'deaf', prompt: 'The sea', max_tokens: 20 });
    expect(all(events, 'narration').length).toBeGreaterThan(4);
    expect((await worker.get('/ready')).status).toBe(200);
    worker.process.kill('SIGTERM');
    expect((await worker.exited).code).toBe(0);
  } finally {
    await worker.kill();
  }
});
