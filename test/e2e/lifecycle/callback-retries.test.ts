/** Pool-managers that are down, slow, busy or strict: a worker serves, and reports until it is accepted or gives up. */
import { afterEach, describe, expect, test } from 'vitest';
import { Listener, lastOf, longJob } from '../../support/listener.ts';
import { PoolManager, type Reaction } from '../../support/pool-manager.ts';
import { startWorker, type TestWorker } from '../../support/worker.ts';

const TOKEN = 'never-to-be-shown-7';

const managers: PoolManager[] = [];
let worker: TestWorker | undefined;
afterEach(async () => {
  await worker?.kill();
  worker = undefined;
  await Promise.all(managers.splice(0).map((manager) => manager.close()));
});

async function startManager(...reactions: Reaction[]): Promise<PoolManager> {
  const manager = await PoolManager.start(...reactions);
  managers.push(manager);
  return manager;
}

const reporting = (manager: PoolManager, ...args: string[]): Promise<TestWorker> =>
  startWorker({ args: ['--callback-url', manager.url, ...args] });

/** Resolves at the n-th failed attempt. */
const failure = (of: TestWorker, attempt: number) => of.line('callback.failed', (line) => line['attempt'] === attempt);

describe('a worker that is not accepted yet', () => {
  test('outlives a pool-manager that is down, and reports when it is up', async () => {
    const manager = await startManager(204);
    await manager.close();
    worker = await reporting(manager);
    await failure(worker, 2);
    expect(lastOf(await worker.execute({ job_id: 'alone', prompt: 'The sea', max_tokens: 2 })).type).toBe('end');
    await manager.open();
    const ready = await worker.line('callback.ready');
    expect(Number(ready['attempt'])).toBeGreaterThan(2);
    expect(manager.calls).toHaveLength(1);
    expect(worker.process.exitCode).toBeNull();
    expect(await worker.stop()).toBe(0);
  });

  test('sends the same report again to a pool-manager that answers too late', async () => {
    const manager = await startManager(() => undefined, 200);
    worker = await reporting(manager);
    expect(await failure(worker, 1)).toMatchObject({ reason: 'no answer within 5 s' });
    await worker.line('callback.ready');
    const [first, second] = manager.calls;
    expect(second?.body).toEqual(first?.body);
    expect(second?.headers['idempotency-key']).toBe(first?.headers['idempotency-key']);
    expect(manager.mostOpen).toBe(1);
  });

  test('waits as long as a busy pool-manager asks', async () => {
    const manager = await startManager((response) => response.writeHead(503, { 'Retry-After': '2' }).end(), 200);
    worker = await reporting(manager);
    expect(await failure(worker, 1)).toMatchObject({ http_status: 503, retry_after_ms: 2000 });
    expect(await worker.line('callback.ready')).toMatchObject({ attempt: 2 });
  });

  test('exits with code 1 at the end of --callback-give-up', async () => {
    const manager = await startManager(500);
    worker = await startWorker({ args: ['--callback-url', manager.url, '--callback-give-up', '1'], early: true });
    expect((await worker.exited).code).toBe(1);
    const failed = worker.lines.filter(({ event }) => event === 'callback.failed');
    expect(failed.at(-1)).toMatchObject({ level: 'FATAL', timeout_ms: 1000, http_status: 500 });
    expect(failed.at(-1)?.human).toMatch(/^Check --callback-url and the pool-manager; ready callback failed for 1 s/);
    expect(worker.lines.find(({ event }) => event === 'worker.draining')).toMatchObject({ reason: 'callback_failed' });
    expect(manager.calls.map(({ body }) => body.announcement)).toEqual(failed.map(() => 1));
  });

  test('finishes its running requests before it exits with code 1', async () => {
    let isWanted = true;
    const manager = await startManager((response) => response.writeHead(isWanted ? 500 : 410).end());
    worker = await reporting(manager, '--callback-give-up', '0');
    const job = await Listener.open(worker, longJob('long'));
    await job.untilToken();
    isWanted = false;
    await worker.post('/announce', {});
    expect(lastOf(await job.ended).type).toBe('end');
    expect((await worker.exited).code).toBe(1);
  });

  test('exits with code 1 at once if the pool-manager answers 410', async () => {
    const manager = await startManager(410);
    worker = await startWorker({ args: ['--callback-url', manager.url], early: true });
    expect((await worker.exited).code).toBe(1);
    expect(manager.calls).toHaveLength(1);
  });
});

describe('the token of the callback', () => {
  const strict: Reaction = (response, { headers }) =>
    response.writeHead(headers.authorization === `Bearer ${TOKEN}` ? 204 : 401).end();

  test('is sent with the report, and shown nowhere', async () => {
    const manager = await startManager(strict);
    worker = await startWorker({
      args: ['--callback-url', manager.url, '--log-level', 'trace'],
      env: { RBEES_CALLBACK_TOKEN: TOKEN },
    });
    await worker.line('callback.ready');
    expect((await worker.get('/health', { 'X-Correlation-Id': TOKEN })).headers.get('x-correlation-id')).not.toBe(
      TOKEN,
    );
    await worker.execute({ job_id: TOKEN, prompt: 'The sea', max_tokens: 1 });
    await worker.stop();
    expect(worker.stdout + worker.stderr).not.toContain(TOKEN);
  });

  test('that is wrong is named in the reason', async () => {
    worker = await reporting(await startManager(strict), '--callback-token', 'another-token');
    expect(await failure(worker, 1)).toMatchObject({
      http_status: 401,
      reason: 'use the right --callback-token; pool-manager answered 401',
    });
  });

  test('does not follow a redirect to another host', async () => {
    const other = await startManager(200);
    const manager = await startManager((response) => response.writeHead(307, { Location: other.url }).end(), 200);
    worker = await reporting(manager, '--callback-token', TOKEN);
    expect(await failure(worker, 1)).toMatchObject({ http_status: 307 });
    await worker.line('callback.ready');
    expect([manager.calls.length, other.calls.length]).toEqual([2, 0]);
    expect(manager.calls.map(({ headers }) => headers.authorization)).toEqual([1, 2].map(() => `Bearer ${TOKEN}`));
  });
});
