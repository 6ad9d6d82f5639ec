/** deploy/nginx/nginx.conf in front of three real workers. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { longJob } from '../support/listener.ts';
import { testDoor, testJobs, testLosses, testStreams, testUnprivileged } from './support/behaviour.ts';
import { hasProgram, startNginx } from './support/proxies.ts';
import { AUTHORIZED, openScene, partOfPieces } from './support/scene.ts';
import { executeOverHttp2, writeIdentity } from './support/secure.ts';

describe.skipIf(!hasProgram('nginx'))('nginx with the files of deploy/', () => {
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
    expect(await partOfPieces({ ...scene, proxy }, 3)).toBeLessThan(0.3);
    await proxy.stop();
  });

  testDoor(scene);
  testUnprivileged(startNginx, scene);

  test('HTTPS with HTTP/2', async () => {
    const job = longJob(randomUUID(), { min_tokens: 20, max_tokens: 20 });
    const answer = await executeOverHttp2(scene.proxy.tlsUrl, job, { authorization: AUTHORIZED.Authorization });
    expect(answer).toMatchObject({ status: 200, protocol: 'h2', text: expect.stringContaining('event: end') });
  });

  testJobs(scene);
  testLosses(scene);
});
