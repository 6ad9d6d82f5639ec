/** The engine process dies while its worker starts, drains or has a seeded job. No orphans. */
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid, nextEnginePid } from '../../support/cli.ts';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { untilGone } from '../../support/processes.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

let worker: TestWorker;
afterEach(() => worker.kill());

const ready = (): Promise<void> => expect.poll(async () => (await worker.get('/ready')).status).toBe(200);

describe('an engine that dies', () => {
  test('is followed by one that gives the same text for the same seed', async () => {
    worker = await startWorker();
    const job = longJob('seeded', { max_tokens: 30, min_tokens: 30 });
    const text = async (): Promise<string> => (await Listener.open(worker, job).then(read)).text;
    const before = await text();
    process.kill(enginePid(worker), 'SIGKILL');
    await worker.line('engine.restarted');
    await ready();
    expect(await text()).toBe(before);
  });

  async function read(stream: Listener): Promise<Listener> {
    await stream.ended;
    return stream;
  }

  test('while the worker drains is followed by one that finishes its stream', async () => {
    worker = await startWorker({ args: ['--slots', '1'] });
    const stream = await Listener.open(worker, longJob('draining'));
    await stream.untilToken();
    worker.process.kill('SIGTERM');
    await worker.line('worker.draining');
    process.kill(enginePid(worker), 'SIGKILL');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect(stream.told).toContain('request.resumed');
    expect((await worker.exited).code).toBe(0);
    expect(worker.lines.at(-1)?.event).toBe('server.shutdown');
  });
});

describe('an engine lives exactly as long as its worker', () => {
  test('that is killed while the model is loading', async () => {
    worker = await startWorker({ early: true });
    const engine = await nextEnginePid(worker, -1);
    worker.process.kill('SIGKILL');
    await untilGone(engine);
  });

  test('that is forced to stop', async () => {
    worker = await startWorker({ args: ['--slots', '1'] });
    const engine = enginePid(worker);
    const stream = await Listener.open(worker, longJob('forced'));
    await stream.untilToken();
    worker.process.kill('SIGTERM');
    await worker.line('worker.draining');
    worker.process.kill('SIGTERM');
    expect((await worker.exited).code).toBe(1);
    await untilGone(engine);
    await stream.ended.catch(() => undefined);
  });

  test('that drains: Ctrl-C on the whole process group does not end the engine while streams finish', async () => {
    worker = await startWorker({ args: ['--slots', '1'] });
    const stream = await Listener.open(worker, longJob('ctrl-c'));
    await stream.untilToken();
    const engine = enginePid(worker);
    for (const pid of [worker.process.pid ?? engine, engine]) process.kill(pid, 'SIGINT');
    expect(lastOf(await stream.ended)).toMatchObject({ type: 'end', tokens_out: 480 });
    expect((await worker.exited).code).toBe(0);
    expect(worker.lines.map((line) => line.event)).not.toContain('engine.lost');
  });
});
