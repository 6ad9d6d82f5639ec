/** A request to stop ends a worker whose event loop is blocked. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { eventually } from '../../support/eventually.ts';
import { untilGone } from '../../support/processes.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

/** Ways to block the main thread. The busy ones cost a core, so only some workers use them. */
const BLOCKS = {
  waits: 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
  loops: 'for (;;);',
  backtracks: "/(?:a+)+b/.test('a'.repeat(40))",
  /** No interrupt reaches JavaScript. */
  'waits for the system': "spawnSync('sleep', ['20'])",
} as const;
type Block = keyof typeof BLOCKS;

/**
 * SIGUSR2 blocks the event loop of the worker, after a line on standard error. Another line tells that the
 * thread watches, which it reports with the message 0: it does not receive a signal before that.
 */
function blockedBySignal(block: Block): { readonly NODE_OPTIONS: string } {
  const script = `import { writeSync } from 'node:fs'; import { spawnSync } from 'node:child_process';
    import { Worker } from 'node:worker_threads';
    const { emit } = Worker.prototype;
    Worker.prototype.emit = function (name, value) {
      if (name === 'message' && value === 0) writeSync(2, 'watches\\n');
      return emit.apply(this, arguments);
    };
    process.on('SIGUSR2', () => { writeSync(2, 'blocked\\n'); ${BLOCKS[block]}; });`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
}

const workers: TestWorker[] = [];
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.kill())));

/** A worker with a way to block it, whose thread watches. With `early`, its model is usually still being read. */
async function start(block: Block, early = false): Promise<TestWorker> {
  const worker = await startWorker({ env: blockedBySignal(block), early });
  workers.push(worker);
  await worker.line('model.load_started');
  await eventually(() => expect(worker.stderr).toContain('watches\n'));
  return worker;
}

async function blockLoop(worker: TestWorker): Promise<void> {
  worker.process.kill('SIGUSR2');
  await eventually(() => expect(worker.stderr).toContain('blocked\n'));
}

/** The end of a blocked worker, and of its engine. Every line on its standard output is whole. */
async function endOf(worker: TestWorker, engine: number) {
  const { code, signal } = await worker.exited;
  await untilGone(engine);
  expect(worker.foreign).toEqual([]);
  return { code, signal, stderr: worker.stderr };
}

/** Blocks a worker, requests the stop, and waits for the end. */
async function stopBlocked(worker: TestWorker, request: (worker: TestWorker) => unknown) {
  const engine = enginePid(worker);
  await blockLoop(worker);
  await request(worker);
  return endOf(worker, engine);
}

/** Two requests: the second one follows when the kernel has delivered the first one. */
function twice(signal: NodeJS.Signals): (worker: TestWorker) => Promise<void> {
  return async (worker) => {
    worker.process.kill(signal);
    // The kernel merges a signal with an equal one that is still pending.
    await eventually(() => expect(pendingSignals(worker)).toBe(0));
    worker.process.kill(signal);
  };
}

/** The mask of the signals that the process has not received yet. */
function pendingSignals(worker: TestWorker): number {
  const status = readFileSync(`/proc/${worker.process.pid}/status`, 'utf8');
  return Number.parseInt(/^ShdPnd:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '', 16);
}

const once =
  (signal: NodeJS.Signals) =>
  (worker: TestWorker): void => {
    worker.process.kill(signal);
  };

const line = (request: string, seconds: string) =>
  `rbees-workerd: the event loop did not answer ${request} within ${seconds} s: the worker ends at once\n`;

describe('one request to stop a blocked event loop ends the worker after five seconds', () => {
  // All of them at once: the time goes into waiting.
  test('SIGTERM while the model is read, SIGINT, SIGHUPs, the end of stdin, and a block during the drain', async () => {
    const ends = await Promise.all([
      start('loops', true).then((worker) => stopBlocked(worker, once('SIGTERM'))),
      start('waits').then((worker) => stopBlocked(worker, once('SIGINT'))),
      start('waits').then((worker) => stopBlocked(worker, twice('SIGHUP'))),
      start('waits').then((worker) => stopBlocked(worker, ({ process }) => process.stdin?.end())),
      start('waits').then(async (worker) => {
        const engine = enginePid(worker);
        const job = worker.execute({ job_id: 'long', prompt: 'x', min_tokens: 480, max_tokens: 480 });
        await worker.line('inference.start');
        // The job must not end before the loop is blocked.
        process.kill(engine, 'SIGSTOP');
        worker.process.kill('SIGTERM');
        await worker.line('worker.draining');
        await blockLoop(worker);
        await job.catch(() => undefined);
        return endOf(worker, engine);
      }),
    ]);
    const requests = ['SIGTERM', 'SIGINT', 'SIGHUP', 'the end of standard input', 'SIGTERM'];
    for (const [index, request] of requests.entries()) {
      expect(ends[index]).toMatchObject({ code: 1, signal: null });
      expect(ends[index]?.stderr).toContain(line(request, '5'));
    }
  });
});

describe('a second signal to a blocked event loop ends the worker at once', () => {
  test('SIGTERM in a loop, SIGINT in a regular expression, and by SIGKILL in a system call', async () => {
    const [looping, backtracking, waiting] = await Promise.all([
      start('loops').then((worker) => stopBlocked(worker, twice('SIGTERM'))),
      start('backtracks').then((worker) => stopBlocked(worker, twice('SIGINT'))),
      start('waits for the system').then((worker) => stopBlocked(worker, twice('SIGTERM'))),
    ]);
    for (const end of [looping, backtracking, waiting]) expect(end.stderr).toContain(line('a second signal', '0.5'));
    expect(looping).toMatchObject({ code: 1, signal: null });
    expect(backtracking).toMatchObject({ code: 1, signal: null });
    expect(waiting).toMatchObject({ code: null, signal: 'SIGKILL' });
  });
});

describe('a worker whose event loop runs', () => {
  test('is not touched, and writes nothing to standard error', async () => {
    const worker = await startWorker();
    workers.push(worker);
    expect(await worker.stop()).toBe(0);
    expect(worker.stderr).toBe('');
    expect(worker.lines.map(({ event }) => event)).not.toContain('watchdog.missing');
    expect(worker.lines.at(-1)).toMatchObject({ event: 'server.shutdown', reason: 'sigterm' });
  });

  test('reports a missing watchdog, and stops as before', async () => {
    const script = `import threads from 'node:worker_threads'; import { syncBuiltinESMExports } from 'node:module';
      const { Worker } = threads;
      threads.Worker = class extends Worker {
        constructor(file, options) { super(file, { ...options, execArgv: [] }); }
      };
      syncBuiltinESMExports();`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(script)}`;
    const worker = await startWorker({ env: { NODE_OPTIONS }, early: true });
    workers.push(worker);
    expect(await worker.line('watchdog.missing')).toMatchObject({ level: 'WARN' });
    expect(await worker.stop()).toBe(0);
  });
});
