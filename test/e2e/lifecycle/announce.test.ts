/** A worker that announces itself again: POST /announce and SIGUSR2, with a real pool-manager. */
import { afterEach, describe, expect, test } from 'vitest';
import { enginePid } from '../../support/cli.ts';
import { lastOf } from '../../support/listener.ts';
import { PoolManager, type Reaction } from '../../support/pool-manager.ts';
import { startWorker, TestWorker } from '../../support/worker.ts';

const TOKEN = 'correct-horse-battery';

let manager: PoolManager | undefined;
let worker: TestWorker | undefined;
afterEach(async () => {
  await worker?.kill();
  await manager?.close();
  [worker, manager] = [undefined, undefined];
});

async function start(...reactions: Reaction[]): Promise<PoolManager> {
  manager = await PoolManager.start(...reactions);
  return manager;
}

const announce = (of: TestWorker, token?: string): Promise<Response> =>
  fetch(`${of.url}/announce`, { method: 'POST', ...(token && { headers: { Authorization: `Bearer ${token}` } }) });

describe('POST /announce', () => {
  test('sends a new announcement of the same life, for callers with the token only', async () => {
    const receiver = await start(204);
    worker = await startWorker({ args: ['--callback-url', receiver.url, '--api-token', TOKEN] });
    await worker.line('callback.ready');
    expect((await announce(worker)).status).toBe(401);
    const answer = await announce(worker, TOKEN);
    const { instance_id, worker_id } = receiver.calls[0]?.body ?? {};
    expect([answer.status, await answer.json()]).toEqual([
      202,
      { status: 'announcing', worker_id, instance_id, announcement: 2 },
    ]);
    await worker.line('callback.ready', (line) => line['announcement'] === 2);
    expect(receiver.calls.map(({ body }) => [body.announcement, body.reason, body.instance_id])).toEqual([
      [1, 'started', instance_id],
      [2, 'announce', instance_id],
    ]);
    expect(receiver.calls[1]?.headers['idempotency-key']).toBe(`${instance_id}-2`);
  });

  test('brings a new pool-manager all workers, while an older announcement waits for minutes', async () => {
    const busy: Reaction = (response) => response.writeHead(503, { 'Retry-After': '3600' }).end();
    const receiver = await start(busy, 204);
    worker = await startWorker({ args: ['--callback-url', receiver.url] });
    expect(await worker.line('callback.failed')).toMatchObject({ retry_after_ms: 60_000 });
    expect((await announce(worker)).status).toBe(202);
    expect(await worker.line('callback.ready')).toMatchObject({ announcement: 2, attempt: 1 });
  });

  test('never ends a worker that was accepted before', async () => {
    const receiver = await start(204, 410, 204);
    worker = await startWorker({ args: ['--callback-url', receiver.url] });
    await worker.line('callback.ready');
    await announce(worker);
    expect(await worker.line('callback.abandoned')).toMatchObject({ level: 'ERROR', announcement: 2 });
    expect(lastOf(await worker.execute({ job_id: 'on', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
    await announce(worker);
    await worker.line('callback.ready', (line) => line['announcement'] === 3);
    expect(await worker.stop()).toBe(0);
  });

  test('is 409 without --callback-url', async () => {
    worker = await startWorker();
    const answer = await announce(worker);
    expect([answer.status, await answer.json()]).toEqual([
      409,
      { error: expect.objectContaining({ code: 'NO_CALLBACK', message: 'The worker has no --callback-url.' }) },
    ]);
  });
});

describe.skipIf(process.platform === 'win32')('SIGUSR2', () => {
  test('sends a new announcement, and the engine ignores the signal', async () => {
    const receiver = await start(204);
    worker = await startWorker({ args: ['--callback-url', receiver.url], detached: true });
    await worker.line('callback.ready');
    const engine = enginePid(worker);
    // To the whole process group, as a service manager does.
    process.kill(-(worker.process.pid ?? 0), 'SIGUSR2');
    await worker.line('callback.ready', (line) => line['announcement'] === 2);
    expect(receiver.calls[1]?.body).toMatchObject({ announcement: 2, reason: 'signal' });
    expect(lastOf(await worker.execute({ job_id: 'on', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
    expect(enginePid(worker)).toBe(engine);
    expect(await worker.stop()).toBe(0);
  });

  test('does not end a worker that starts', async () => {
    const receiver = await start(204);
    worker = new TestWorker({ args: ['--callback-url', receiver.url] });
    await worker.line('worker.startup');
    for (let times = 0; times < 5; times += 1) worker.process.kill('SIGUSR2');
    await worker.line('callback.ready');
    expect(receiver.calls[0]?.body).toMatchObject({ announcement: 1, reason: 'started' });
    expect(await worker.stop()).toBe(0);
  });

  test('is narrated without --callback-url', async () => {
    worker = await startWorker();
    worker.process.kill('SIGUSR2');
    const line = await worker.line('callback.unset');
    expect(line).toMatchObject({
      level: 'WARN',
      human: expect.stringMatching(/^Start the worker with --callback-url/),
    });
    expect(await worker.stop()).toBe(0);
  });
});
