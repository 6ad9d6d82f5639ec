import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { FromEngine, SequenceReport, ToEngine } from '../../src/protocol/messages.ts';
import { Bench, engineProcess, onCpu, options, request } from './harness.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** An engine process, forked as the worker forks it, with its messages so far. */
function forkEngine(env: NodeJS.ProcessEnv = {}) {
  const child = fork(engineProcess, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'advanced', env });
  children.push(child);
  const said: FromEngine[] = [];
  const output: string[] = [];
  child.stdout?.on('data', (data) => output.push(`out: ${data}`));
  child.stderr?.on('data', (data) => output.push(`err: ${data}`));
  child.on('message', (message: FromEngine) => said.push(message));
  const send = (message: ToEngine) => child.send(message);
  const until = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await once(child, 'message');
    }
  };
  const heard = <K extends FromEngine['kind']>(kind: K) =>
    until(() => said.find((message): message is Extract<FromEngine, { kind: K }> => message.kind === kind));
  const of = (id: number): SequenceReport[] =>
    said
      .flatMap((message) => (message.kind === 'report' ? message.sequences : []))
      .filter((report) => report.id === id);
  const finish = (id: number) => until(() => of(id).at(-1)?.finish);
  const exit = async () =>
    child.exitCode ?? child.signalCode ?? (await once(child, 'exit')).find((code) => code !== null);
  return { child, said, output, send, heard, of, finish, exit };
}

/** True if there is no such process, or only a zombie. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform === 'linux' && / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

async function goneWithin(pid: number, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  while (!isGone(pid) && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  return isGone(pid);
}

describe('the engine process', () => {
  it('reports the load, then the facts about the open model', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'open', options });
    const { facts } = await engine.heard('opened');
    expect(engine.said.map((message) => message.kind)).toEqual([
      'loading',
      'memory',
      ...new Array(5).fill('progress'),
      'opened',
    ]);
    expect(engine.said[0]).toMatchObject({ device: 'cpu', runtimeVersion: facts.runtimeVersion });
    expect(facts).toMatchObject({ slots: 4, context: 256, vocabSize: 1024 });
    expect(facts.residentBytes).toBeGreaterThan(facts.cacheBytes);
  });

  it('stores nothing for the maker of the runtime', async () => {
    const home = mkdtempSync(join(tmpdir(), 'engine-home-'));
    try {
      const engine = forkEngine({ HOME: home, XDG_CACHE_HOME: join(home, 'cache') });
      engine.send({ kind: 'open', options });
      await engine.heard('opened');
      expect(readdirSync(home, { recursive: true })).toEqual([]);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  it('generates the same ids as an engine in this process, with one report per step', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'open', options });
    await engine.heard('opened');
    const asked = [request({ maxTokens: 20 }), request({ prompt: [0, 99], maxTokens: 20, logprobs: 2 })];
    for (const each of asked) engine.send({ kind: 'submit', request: each });
    const bench = new Bench();
    for (const each of asked) {
      expect(await engine.finish(each.id)).toMatchObject({ reason: 'max_tokens' });
      const tokens = engine.of(each.id).flatMap((report) => report.tokens);
      const { ids } = await bench.submit(each);
      expect(tokens.map((token) => token.id)).toEqual(ids);
      for (const { top } of tokens) expect(top?.length).toBe(each.logprobs);
    }
    // Forty tokens, because the second sequence arrives some steps after the first.
    const reports = engine.said.filter((message) => message.kind === 'report');
    expect(reports.length).toBeLessThan(40);
    expect(reports.some((report) => report.sequences.length === 2)).toBe(true);
    bench.engine.close();
  });

  it('says that it lives, while it is idle and between steps, and that it has read a job', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'open', options, aliveMs: 20 });
    await engine.heard('alive');
    const before = engine.said.length;
    const asked = request({ maxTokens: 250 });
    engine.send({ kind: 'submit', request: asked });
    await engine.finish(asked.id);
    const kinds = engine.said.slice(before).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind !== 'alive')[0]).toBe('received');
    expect(kinds.slice(kinds.indexOf('report'), kinds.lastIndexOf('report'))).toContain('alive');
  });

  it('stops a cancelled sequence', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'open', options });
    const asked = request({ maxTokens: 250 });
    engine.send({ kind: 'submit', request: asked });
    await engine.heard('report');
    engine.send({ kind: 'cancel', id: asked.id });
    expect(await engine.finish(asked.id)).toMatchObject({ reason: 'cancelled' });
    expect(engine.of(asked.id).flatMap((report) => report.tokens).length).toBeLessThan(250);
  });

  it('refuses a missing model, and exits with code 1', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'open', options: { ...options, ...onCpu('/no/model.onnx') } });
    const { reason } = await engine.heard('refused');
    expect(reason).toEqual({ code: 'runtime', message: expect.stringContaining('/no/model.onnx') });
    expect(await engine.exit()).toBe(1);
  });

  it('exits with code 0 when it is closed, and writes nothing to stdout', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'open', options });
    await engine.heard('opened');
    engine.send({ kind: 'close' });
    expect(await engine.exit()).toBe(0);
    expect(engine.output).toEqual([]);
  });

  it('exits when the channel closes, even while sequences run', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'open', options: { ...options, slots: 1 } });
    // A minute of work.
    for (let index = 0; index < 200; index++) engine.send({ kind: 'submit', request: request({ maxTokens: 250 }) });
    await engine.heard('report');
    engine.child.disconnect();
    const patience = setTimeout(() => engine.child.kill('SIGKILL'), 3000);
    expect(await engine.exit()).toBe(0);
    clearTimeout(patience);
  });

  it('exits with an error on stderr when it gets a sequence before a model', async () => {
    const engine = forkEngine();
    engine.send({ kind: 'cancel', id: 1 });
    expect(await engine.exit()).toBe(1);
    expect(engine.output.join('')).toContain('before a model');
  });
});

describe('a worker that is killed', () => {
  /** A process that forks the engine and prints its pid when the model is open. */
  const worker = `
    const engine = require('node:child_process').fork(process.argv[1], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'advanced' });
    engine.on('message', (message) => message.kind === 'opened' && console.log(engine.pid));
    engine.send({ kind: 'open', options: JSON.parse(process.argv[2]) });`;

  async function forkThroughWorker(): Promise<{ parent: ChildProcess; pid: number }> {
    const parent = spawn(process.execPath, ['-e', worker, engineProcess, JSON.stringify(options)]);
    children.push(parent);
    const [pid] = await once(parent.stdout, 'data');
    return { parent, pid: Number(pid) };
  }

  it('ends its engine', async () => {
    const { parent, pid } = await forkThroughWorker();
    expect(isGone(pid)).toBe(false);
    parent.kill('SIGKILL');
    expect(await goneWithin(pid, 1000)).toBe(true);
  });

  it.runIf(process.platform === 'linux')('ends even an engine that reads no messages', async () => {
    const { parent, pid } = await forkThroughWorker();
    process.kill(pid, 'SIGSTOP');
    parent.kill('SIGKILL');
    expect(await goneWithin(pid, 1000)).toBe(true);
  });
});
