/** The ready callback: its content, its retries and its narration, with a real server and a real worker. */
import { afterEach, describe, expect, test } from 'vitest';
import { schemaProblems } from '../../contract/document.ts';
import { lastOf } from '../../support/listener.ts';
import { PoolManager } from '../../support/pool-manager.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';
import { factsOf } from '../../support/worker-facts.ts';

let manager: PoolManager | undefined;
let worker: TestWorker | undefined;
afterEach(async () => {
  await worker?.kill();
  await manager?.close();
  [worker, manager] = [undefined, undefined];
});

describe('a worker', () => {
  test('reports its identity and address once, with a correlation id', async () => {
    manager = await PoolManager.start(204);
    const url = new URL('/v2/workers/ready?pool=a%20b', manager.url).href;
    worker = await startWorker({ args: ['--worker-id', 'w-7', '--callback-url', url] });
    const ready = await worker.line('callback.ready');
    expect(manager.calls).toHaveLength(1);
    const [call] = manager.calls;
    expect([call?.method, call?.path]).toEqual(['POST', '/v2/workers/ready?pool=a%20b']);
    expect(call?.headers['content-type']).toMatch(/^application\/json/);
    expect(call?.headers['x-correlation-id']).toBe(ready['correlation_id']);
    expect(call?.body).toEqual({ ...factsOf(worker, 'w-7'), announcement: 1, reason: 'started' });
    const { instance_id } = call?.body ?? {};
    expect(call?.headers['idempotency-key']).toBe(`${instance_id}-1`);
    expect(schemaProblems({ $ref: '#/components/schemas/ReadyCallback' }, call?.body)).toEqual([]);
    const { slots } = (await (await worker.get('/health')).json()) as { slots: { total: number } };
    expect(call?.body).toMatchObject({ slots: slots.total });
    expect(ready).toMatchObject({
      actor: 'rbees-workerd',
      action: 'callback_ready',
      attempt: 1,
      http_status: 204,
      story: expect.any(String),
    });
    const order = worker.lines.map((line) => line.event);
    expect(order.indexOf('callback.attempt')).toBeGreaterThan(order.indexOf('model.loaded'));
    expect(order.indexOf('callback.ready')).toBe(order.indexOf('callback.attempt') + 1);
  });

  test('reports the address of --advertise-url', async () => {
    manager = await PoolManager.start(200);
    worker = await startWorker({
      args: ['--callback-url', manager.url, '--advertise-url', 'https://workers.example/7'],
    });
    await worker.line('callback.ready');
    expect(manager.calls[0]?.body).toMatchObject({ uri: 'https://workers.example/7' });
  });

  test('tries again if the answer is not 2xx, and serves meanwhile', async () => {
    manager = await PoolManager.start(500, 200);
    worker = await startWorker({ args: ['--callback-url', manager.url] });
    const failed = await worker.line('callback.failed');
    expect(failed).toMatchObject({
      level: 'WARN',
      actor: 'rbees-workerd',
      action: 'error',
      error_kind: 'callback_failed',
      attempt: 1,
      http_status: 500,
    });
    expect(Number(failed['retry_after_ms'])).toBeGreaterThanOrEqual(500);
    expect(Number(failed['retry_after_ms'])).toBeLessThanOrEqual(1500);
    expect(lastOf(await worker.execute({ job_id: 'meanwhile', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
    expect(worker.lines.map((line) => line.event)).not.toContain('callback.ready');
    expect(await worker.line('callback.ready')).toMatchObject({ attempt: 2 });
    expect(new Set(manager.calls.map((call) => call.headers['x-correlation-id'])).size).toBe(1);
  });

  test('narrates a refused connection, and still serves', async () => {
    manager = await PoolManager.start(200);
    const { url } = manager;
    await manager.close();
    worker = await startWorker({ args: ['--callback-url', url] });
    const failed = await worker.line('callback.failed');
    expect(failed).toMatchObject({ error_kind: 'callback_failed', reason: 'connection refused' });
    expect(lastOf(await worker.execute({ job_id: 'alone', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
    expect(await worker.stop()).toBe(0);
  });

  test('does not wait for the pool-manager when it stops', async () => {
    manager = await PoolManager.start(() => undefined);
    worker = await startWorker({ args: ['--callback-url', manager.url] });
    await worker.line('callback.attempt');
    expect(await worker.stop()).toBe(0);
    expect(worker.lines.map((line) => line.event)).not.toContain('callback.failed');
  });

  test('never narrates the password of the URL', async () => {
    manager = await PoolManager.start(200);
    const url = manager.url.replace('http://', 'http://hive:s3cr3t-honey@');
    worker = await startWorker({ args: ['--callback-url', url] });
    await Promise.race([worker.line('callback.ready'), worker.line('callback.failed')]);
    expect(worker.stdout + worker.stderr).not.toContain('s3cr3t-honey');
    // The request itself has the credentials.
    expect(manager.calls[0]?.headers.authorization).toBe(`Basic ${btoa('hive:s3cr3t-honey')}`);
  });
});
