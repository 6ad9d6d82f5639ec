/** deploy/nginx/nginx.conf in front of three real workers. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { enginePid } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { lastOf, longJob } from '../support/listener.ts';
import type { TestWorker } from '../support/worker.ts';
import { testDoor, testJobs, testLosses, testSmuggling, testStreams, testUnprivileged } from './support/behaviour.ts';
import { arrivalOf } from './support/pieces.ts';
import { hasPrograms } from './support/programs.ts';
import { startNginx } from './support/proxies.ts';
import { AUTHORIZED, listen, openScene, workerOf } from './support/scene.ts';
import { executeOverHttp2, writeIdentity } from './support/secure.ts';

describe.skipIf(!hasPrograms('nginx'))('nginx with the files of deploy/', () => {
  let files: string;
  beforeAll(() => {
    files = mkdtempSync(join(tmpdir(), 'nginx-files-'));
    writeIdentity(join(files, 'identity.pem'));
  });
  afterAll(() => rmSync(files, { recursive: true }));
  const scene = openScene((workers) => startNginx(workers, { env: { TLS_PEM: join(files, 'identity.pem') } }));

  test('accepts the files as they are', () => {
    cpSync('deploy/nginx', join(files, 'nginx'), { recursive: true });
    const args = ['-t', '-q', '-p', join(files, 'nginx'), '-c', join(files, 'nginx', 'nginx.conf')];
    const { status, stderr } = spawnSync('nginx', args, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });

  testStreams(scene);

  test('with HTTP/1.0 and without X-Accel-Buffering, a stream arrives in a few pieces', async () => {
    const change = (text: string) =>
      text
        .replace('proxy_buffering on;', 'proxy_ignore_headers X-Accel-Buffering;')
        .replace('version 1.1;', 'version 1.0;');
    const proxy = await startNginx(scene.workers, { change });
    const { pieces, text } = await arrivalOf(proxy.url, longJob(randomUUID()), AUTHORIZED);
    expect(text).toContain('event: end');
    expect(pieces).toBeLessThan(text.length / 2048 + 10);
    await proxy.stop();
  });

  testDoor(scene);
  testSmuggling(scene);
  testUnprivileged(startNginx, scene);

  test('HTTPS with HTTP/2', async () => {
    const job = longJob(randomUUID(), { min_tokens: 20, max_tokens: 20 });
    const answer = await executeOverHttp2(scene.proxy.tlsUrl, job, { authorization: AUTHORIZED.Authorization });
    expect(answer).toMatchObject({ status: 200, protocol: 'h2', text: expect.stringContaining('event: end') });
  });

  test('a new list of workers ends no stream, and new requests go to the workers of this list only', async () => {
    const [removed, , added] = scene.workers;
    if (!removed) throw new Error('There is no worker.');
    const proxy = await startNginx(scene.workers.slice(0, 2));
    const through = { ...scene, proxy };
    const streams = await Promise.all(Array.from({ length: 4 }, () => listen(through, longJob(randomUUID()))));
    await Promise.all(streams.map((stream) => stream.untilToken(3)));
    const workers = await Promise.all(streams.map((stream) => workerOf(through, stream)));
    expect(workers).toContain(removed);
    // The streams of this worker go on when nginx has the new list.
    const engine = enginePid(removed);
    process.kill(engine, 'SIGSTOP');
    // A request that needs no engine, and the worker that the log of nginx has for it.
    const next = async (): Promise<unknown> => {
      const id = randomUUID();
      const headers = { ...AUTHORIZED, 'X-Correlation-Id': id };
      expect((await fetch(`${proxy.url}/v1/models`, { headers })).status).toBe(200);
      const line = () => proxy.lines().find((one) => one['correlation_id'] === id);
      await eventually(() => expect(line()).toBeDefined());
      return line()?.['worker'];
    };
    const addressOf = ({ url }: TestWorker): string => new URL(url).host;
    try {
      await proxy.use(scene.workers.slice(1));
      await eventually(async () => expect(await next()).toBe(added && addressOf(added)));
      for (let requests = 0; requests < 6; requests += 1) expect(await next()).not.toContain(addressOf(removed));
    } finally {
      process.kill(engine, 'SIGCONT');
    }
    const ended = await Promise.all(streams.map((stream) => stream.ended));
    expect(ended.map((events) => lastOf(events).type)).toEqual(['end', 'end', 'end', 'end']);
    await proxy.stop();
  });

  testJobs(scene);
  testLosses(scene);
});
